"""Decoder, grammar mask and cross-entropy: 16,384 positions, 312 words, 1,024 features (an attention model's head)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.measure import Row, gemm, gemm_flop
from benchmarks.speed.operations import Case, compare
from benchmarks.speed.plain import plain_loss
from benchmarks.speed.train_step import HIDDEN, ROWS, STEPS, legal_tokens
from pianogen.models.linear import linear_of_parts
from pianogen.ops.masked_cross_entropy import masked_cross_entropy
from pianogen.tokens.grammar import allowed
from pianogen.tokens.vocab import VOCABULARY_SIZE


def measure(rounds: int = 5) -> list[Row]:
    """Ours, torch's linear layer with `masked_fill` and `cross_entropy`, and the three matrix products alone."""
    _, targets, states = (part.flatten() for part in legal_tokens(ROWS, STEPS))
    mask = torch.tensor(allowed("strict"))
    torch.manual_seed(0)
    count, features = len(targets), 2 * HIDDEN
    hidden, weight = torch.randn(count, features), torch.randn(VOCABULARY_SIZE, features) / features**0.5

    def ours(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        logits = linear_of_parts(hidden.split(HIDDEN, dim=1), weight, bias)
        return masked_cross_entropy(logits, targets, states, mask, reuse=True).loss_sum

    def other(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return plain_loss(F.linear(hidden, weight, bias)[None], targets, states, mask)

    share = 6 * count * features * VOCABULARY_SIZE / gemm_flop()
    parameters = hidden, weight, torch.zeros(VOCABULARY_SIZE)
    return compare(
        Case("head", parameters, ours, other, "torch's masked CE", gemm(torch.float32), share, count), rounds
    )
