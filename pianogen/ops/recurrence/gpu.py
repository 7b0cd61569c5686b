"""RNN and LSTM as calls of torch's own layers, which are cuDNN's on a GPU: a few calls, whatever the number of steps.

cuDNN multiplies the inputs itself and knows no resets. If few steps have one, time is cut there, and the state of those
rows is zeroed before the next call; if many have, each row is cut at its own resets, and all pieces go into one packed
call. Both are exact. Words become one-hot vectors, and the table of their gate sums the input weight.
"""

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pianogen.ops.recurrence.pieces import Pieces, split

MAX_CUTS = 10  # an estimate: a cut costs some ten launches each way, and a packed call is no persistent kernel
State = tuple[Tensor, ...]  # h, or h and c; (B, H)


def rnn(
    inputs: Float[Tensor, "..."],
    weight_ih: Float[Tensor, "H I"] | None,
    bias: Float[Tensor, " H"] | None,
    weight_hh: Float[Tensor, "H H"],
    h0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    words: Int[Tensor, "B T"] | None,
    bf16: bool,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"]]:
    """As `pianogen.ops.recurrence.rnn`; either `weight_ih` and `bias`, or `words` must be given."""
    hidden, (h,) = _run(inputs, weight_ih, bias, weight_hh, (h0,), keep, words, bf16)
    return hidden, h


def lstm(
    inputs: Float[Tensor, "..."],
    weight_ih: Float[Tensor, "G I"] | None,
    bias: Float[Tensor, " G"] | None,
    weight_hh: Float[Tensor, "G H"],
    h0: Float[Tensor, "B H"],
    c0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    words: Int[Tensor, "B T"] | None,
    bf16: bool,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """As `pianogen.ops.recurrence.lstm`; either `weight_ih` and `bias`, or `words` must be given."""
    hidden, (h, c) = _run(inputs, weight_ih, bias, weight_hh, (h0, c0), keep, words, bf16)
    return hidden, h, c


def _run(
    inputs: Tensor,
    weight_ih: Tensor | None,
    bias: Tensor | None,
    weight_hh: Tensor,
    state: State,
    keep: Tensor,
    words: Tensor | None,
    bf16: bool,
) -> tuple[Tensor, State]:
    dtype = torch.bfloat16 if bf16 else weight_hh.dtype
    if words is None:
        assert weight_ih is not None
        x, weights = inputs.transpose(0, 1).to(dtype), _one_buffer(weight_ih, weight_hh, bias, dtype)
    else:
        one_hot = torch.eye(len(inputs), dtype=dtype, device=inputs.device)
        x, weights = F.embedding(words.t(), one_hot), _one_buffer(inputs.t(), weight_hh, None, dtype)
    state = tuple(each.to(dtype).contiguous() for each in state)  # cuDNN refuses others
    on_host = keep.cpu().numpy()  # the host must know where to cut; this waits for what was launched before
    cuts = np.flatnonzero(~on_host.all(axis=0)).tolist()
    if len(cuts) > MAX_CUTS:
        hidden, state = _packed(x, weights, state, split(on_host))
    else:
        hidden, state = _cut(x, weights, state, keep, cuts)
    return hidden.transpose(0, 1).to(weight_hh.dtype), tuple(each.to(weight_hh.dtype) for each in state)


def _one_buffer(weight_ih: Tensor, weight_hh: Tensor, bias: Tensor | None, dtype: torch.dtype) -> list[Tensor]:
    """The weights as views of one tensor in cuDNN's order, so that it need not copy them together in each call.

    cuDNN always has two biases; torch leaves them at the end of the buffer if it is not given them.
    """
    zeros = weight_hh.new_zeros((1 if bias is not None else 2) * len(weight_hh))
    parts = [weight_ih.reshape(-1), weight_hh.reshape(-1), *([] if bias is None else [bias]), zeros]
    flat_ih, flat_hh, *biases = torch.cat(parts).to(dtype).split([len(part) for part in parts])
    return [flat_ih.view_as(weight_ih), flat_hh.view_as(weight_hh), *(biases if bias is not None else [])]


def _cut(x: Tensor, weights: list[Tensor], state: State, keep: Tensor, cuts: list[int]) -> tuple[Tensor, State]:
    """Run from cut to cut, zeroing the state of the rows that reset there."""
    bounds, reset, parts = [*sorted({0, *cuts}), len(x)], ~keep.t().unsqueeze(-1), []
    for start, part in zip(bounds, x.split([end - start for start, end in pairwise(bounds)]), strict=False):
        if start in cuts:
            state = tuple(each.masked_fill(reset[start], 0) for each in state)
        hidden, state = call(part, None, weights, state)
        parts.append(hidden)
    return parts[0] if len(parts) == 1 else torch.cat(parts), state


def _packed(x: Tensor, weights: list[Tensor], state: State, pieces: Pieces) -> tuple[Tensor, State]:
    """Run all pieces of all rows side by side."""
    device, batch_sizes = x.device, torch.from_numpy(pieces.batch_sizes)
    order, place, row, begins, last = (
        torch.from_numpy(array).to(device, non_blocking=True)
        for array in (pieces.order, pieces.place, pieces.row, pieces.begins, pieces.last)
    )
    data = x.flatten(0, 1).index_select(0, order)
    first = tuple(each.index_select(0, row).masked_fill(begins[:, None], 0) for each in state)
    hidden, after = call(data, batch_sizes, weights, first)
    return hidden.index_select(0, place).view(*x.shape[:2], -1), tuple(each.index_select(0, last) for each in after)


def call(x: Tensor, batch_sizes: Tensor | None, weights: list[Tensor], state: State) -> tuple[Tensor, State]:
    """One call of torch's layer over inputs (T, B, I), or over packed ones (N, I) with the rows of each step."""
    biased, trains, h = len(weights) == 4, torch.is_grad_enabled(), state[0]
    functions: dict[int, Callable[..., tuple[Tensor, ...]]] = {1: torch._VF.rnn_tanh, 2: torch._VF.lstm}  # type: ignore[attr-defined]
    hx: Any = [each.unsqueeze(0) for each in state] if len(state) == 2 else h.unsqueeze(0)
    options = (weights, biased, 1, 0.0, trains, False)
    with warnings.catch_warnings():  # the same result, copied together in each call
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
        if batch_sizes is None:
            hidden, *after = functions[len(state)](x, hx, *options, False)
        else:
            hidden, *after = functions[len(state)](x, batch_sizes, hx, *options)
    return hidden, tuple(each.squeeze(0) for each in after)
