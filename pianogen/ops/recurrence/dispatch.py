"""The recurrences in their fastest form for the device and type at hand."""

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pianogen.ops.forms import compiled
from pianogen.ops.recurrence import fused, native


def rnn(
    inputs: Float[Tensor, "..."],
    weight_hh: Float[Tensor, "H H"],
    h0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    *,
    words: Int[Tensor, "B T"] | None = None,
    bf16: bool = False,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"]]:
    """Run a tanh RNN; where `keep` is false the row's state is zeroed before the step. Returns (hidden, h_last).

    The inputs hold W_ih x + b, (B, T, H); or, where `words` are given, they are a table (V, H) of it by word.
    """
    if _compiled(h0, bf16):
        return native.rnn(inputs, weight_hh, h0, keep, words, bf16)
    sums = inputs if words is None else gather_words(inputs, words)
    return fused.rnn(sums, weight_hh, h0, keep, bf16=bf16)


def lstm(
    gates: Float[Tensor, "..."],
    weight_hh: Float[Tensor, "G H"],
    h0: Float[Tensor, "B H"],
    c0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    *,
    words: Int[Tensor, "B T"] | None = None,
    bf16: bool = False,
    reuse: bool = False,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """Run an LSTM; where `keep` is false a row's state is zeroed before the step. Returns (hidden, h_last, c_last).

    The gates hold W_ih x + b, (B, T, G); or, where `words` are given, they are a table (V, G) of it by word. `reuse`
    lets the torch form overwrite `gates`, which must not be read afterwards.
    """
    if _compiled(h0, bf16):
        return native.lstm(gates, weight_hh, h0, c0, keep, words, bf16)
    sums = gates if words is None else gather_words(gates, words)
    return fused.lstm(sums, weight_hh, h0, c0, keep, bf16=bf16, reuse=reuse or words is not None)


def _compiled(h0: Tensor, bf16: bool) -> bool:
    even = h0.shape[1] % 2 == 0  # bfloat16 is multiplied by pairs
    return compiled(h0, bf16=bf16) and (even or not bf16)


def gather_words(table: Float[Tensor, "V G"], words: Int[Tensor, "B T"]) -> Float[Tensor, "B T G"]:
    """Rows of the table by word, time-major in memory."""
    return F.embedding(words.t(), table).transpose(0, 1)
