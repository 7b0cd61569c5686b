"""The recurrences in their fastest form for the device and type at hand.

Inputs are given in one of three ways: as gate sums W_ih x + b, (B, T, G); as x, (B, T, I), beside W_ih and b; or as
words, (B, T), beside a table of the gate sums of each word, (V, G).
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pianogen.ops.forms import compiled, for_gpu
from pianogen.ops.linear import linear
from pianogen.ops.recurrence import fused, gpu, native


def rnn(
    inputs: Float[Tensor, "..."],
    weight_hh: Float[Tensor, "H H"],
    h0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    *,
    weight_ih: Float[Tensor, "H I"] | None = None,
    bias: Float[Tensor, " H"] | None = None,
    words: Int[Tensor, "B T"] | None = None,
    bf16: bool = False,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"]]:
    """Run a tanh RNN; where `keep` is false the row's state is zeroed before the step. Returns (hidden, h_last).

    `inputs` are gate sums; with `weight_ih` they are x; with `words` they are a table (V, H).
    """
    if for_gpu(h0) and (weight_ih is not None or words is not None):
        return gpu.rnn(inputs, weight_ih, bias, weight_hh, h0, keep, words, bf16)
    if weight_ih is not None:
        inputs = linear(inputs, weight_ih, bias, bf16)
    if _compiled(h0, bf16):
        return native.rnn(inputs, weight_hh, h0, keep, words, bf16)
    sums = inputs if words is None else gather_words(inputs, words)
    return fused.rnn(sums, weight_hh, h0, keep, bf16=bf16)


def lstm(
    inputs: Float[Tensor, "..."],
    weight_hh: Float[Tensor, "G H"],
    h0: Float[Tensor, "B H"],
    c0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    *,
    weight_ih: Float[Tensor, "G I"] | None = None,
    bias: Float[Tensor, " G"] | None = None,
    words: Int[Tensor, "B T"] | None = None,
    bf16: bool = False,
    reuse: bool = False,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """Run an LSTM; where `keep` is false a row's state is zeroed before the step. Returns (hidden, h_last, c_last).

    `inputs` are gate sums; with `weight_ih` they are x; with `words` they are a table (V, G). `reuse` lets the torch
    form overwrite gate sums, which must not be read afterwards.
    """
    if for_gpu(h0) and (weight_ih is not None or words is not None):
        return gpu.lstm(inputs, weight_ih, bias, weight_hh, h0, c0, keep, words, bf16)
    if weight_ih is not None:
        inputs = linear(inputs, weight_ih, bias, bf16)
    if _compiled(h0, bf16):
        return native.lstm(inputs, weight_hh, h0, c0, keep, words, bf16)
    sums = inputs if words is None else gather_words(inputs, words)
    return fused.lstm(sums, weight_hh, h0, c0, keep, bf16=bf16, reuse=reuse or sums is not inputs)


def _compiled(h0: Tensor, bf16: bool) -> bool:
    even = h0.shape[1] % 2 == 0  # bfloat16 is multiplied by pairs
    return compiled(h0, bf16=bf16) and (even or not bf16)


def gather_words(table: Float[Tensor, "V G"], words: Int[Tensor, "B T"]) -> Float[Tensor, "B T G"]:
    """Rows of the table by word, time-major in memory."""
    return F.embedding(words.t(), table).transpose(0, 1)
