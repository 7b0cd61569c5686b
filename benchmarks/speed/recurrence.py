"""LSTM and RNN over 64 rows of 256 tokens, 512 units, with the input's table of 312 words."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from benchmarks.speed.measure import Row, gemm, gemm_flop
from benchmarks.speed.operations import Case, Operation, compare
from benchmarks.speed.train_step import HIDDEN, ROWS, STEPS, legal_tokens
from pianogen.ops.recurrence import lstm, rnn
from pianogen.tokens.vocab import VOCABULARY_SIZE

_GATES = {"lstm": 4, "rnn": 1}


def measure(rounds: int = 5) -> list[Row]:
    """Ours, torch.nn's layer on one-hot input, and the recurrent matrix products alone."""
    words, _, _ = legal_tokens(ROWS, STEPS)
    return [row for kind in _GATES for row in compare(_case(kind, words), rounds)]


def _case(kind: str, words: Tensor) -> Case:
    torch.manual_seed(0)
    num_gates, bound = _GATES[kind] * HIDDEN, HIDDEN**-0.5
    table = torch.empty(VOCABULARY_SIZE, num_gates).uniform_(-bound, bound)
    weight = torch.empty(num_gates, HIDDEN).uniform_(-bound, bound)
    mix = torch.randn(ROWS, STEPS, HIDDEN)
    share = 6 * num_gates * HIDDEN * words.numel() / gemm_flop()
    forms = _ours(kind, words, mix), _plain(kind, words, mix), f"nn.{kind.upper()}"
    return Case(f"recurrence_{kind}", (table, weight), *forms, gemm(torch.float32), share, words.numel())


def _ours(kind: str, words: Tensor, mix: Tensor) -> Operation:
    keep = torch.ones(words.shape, dtype=torch.bool)

    def run(table: Tensor, weight: Tensor) -> Tensor:
        empty = torch.zeros(ROWS, HIDDEN, dtype=table.dtype)
        if kind == "rnn":
            hidden, _ = rnn(table, weight, empty, keep, words=words)
        else:
            hidden, _, _ = lstm(table, weight, empty, empty, keep, words=words)
        return (hidden * mix).sum()

    return run


def _plain(kind: str, words: Tensor, mix: Tensor) -> Operation:
    layer = (nn.RNN if kind == "rnn" else nn.LSTM)(VOCABULARY_SIZE, HIDDEN, bias=False, batch_first=True)

    def run(table: Tensor, weight: Tensor) -> Tensor:
        inputs = F.one_hot(words, VOCABULARY_SIZE).to(table.dtype)
        weights = {"weight_ih_l0": table.t(), "weight_hh_l0": weight}
        hidden, _ = functional_call(layer, weights, (inputs,))
        return (hidden * mix).sum()

    return run
