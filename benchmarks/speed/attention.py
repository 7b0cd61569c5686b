"""Attention over the past, without the product of its scores: 64 rows of 256 positions, 512 channels."""

import torch
from torch import Tensor

from benchmarks.speed.measure import Row, copy
from benchmarks.speed.operations import Case, compare
from benchmarks.speed.plain import plain_attention
from benchmarks.speed.train_step import HIDDEN, ROWS, STEPS
from pianogen.ops.causal_attention import causal_mean

_COPY_MB = 64
_BLOCKS = 9  # read scores, values, write contexts; read those and their gradient, write two gradients


def measure(rounds: int = 5) -> list[Row]:
    """Ours, cumulative sums in torch, and a copy of as many bytes as must be read and written."""
    torch.manual_seed(0)
    shape = ROWS, STEPS, HIDDEN
    # a training step's layout: time-major in memory
    scores, values = (torch.randn(STEPS, ROWS, HIDDEN).transpose(0, 1) for _ in range(2))
    keep = torch.ones(ROWS, STEPS, dtype=torch.bool)
    mix = torch.randn(STEPS, ROWS, HIDDEN).transpose(0, 1)

    def ours(scores: Tensor, values: Tensor) -> Tensor:
        empty = torch.zeros(ROWS, HIDDEN, dtype=scores.dtype)
        contexts, _, _ = causal_mean(scores, values, empty - torch.inf, empty, keep)
        return (contexts * mix).sum()

    def other(scores: Tensor, values: Tensor) -> Tensor:
        return (plain_attention(scores, values) * mix).sum()

    share = _BLOCKS * 4e-6 * torch.Size(shape).numel() / (2 * _COPY_MB)
    case = Case("attention", (scores, values), ours, other, "cumsum", copy(_COPY_MB), share, ROWS * STEPS)
    return compare(case, rounds)
