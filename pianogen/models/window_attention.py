"""One attention head of every position over the last positions of its row, as products over blocks of time.

The vectors that are attended to are keys and values at once, as in Merity's SHA-RNN: a matrix for the keys would be
absorbed by that of the queries, and one for the values by what follows. So a single tensor is the whole state, and no
part of it was computed with older weights. Shapes: W positions that are visible, the current one included.

Reference: Merity (2019), Single Headed Attention RNN: Stop Thinking With Your Head.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_BLOCK = 128  # positions of a product: it also computes, for nothing, as many scores outside of the window


class Memory(NamedTuple):
    """The last W vectors of each row, the newest at the end; `length` of them are of the current piece, others 0."""

    vectors: Float[Tensor, "B W H"]
    length: Float[Tensor, " B"]


def window_attention(
    queries: Float[Tensor, "B T H"],
    vectors: Float[Tensor, "B T H"],
    memory: Memory,
    keep: Bool[Tensor, "B T"],
    bf16: bool = False,
) -> tuple[Float[Tensor, "B T H"], Memory]:
    """The mean of the last W vectors weighted by a softmax; a row forgets its past wherever `keep` is false."""
    window, steps = memory.vectors.shape[1], queries.shape[1]
    pieces = torch.cat((_pieces_in(memory), (~keep).cumsum(dim=1)), dim=1)  # (B, W + T)
    dtype = torch.bfloat16 if bf16 else queries.dtype
    # the memory stays a tensor of its own: in training it is a constant, whose gradient need not be computed
    scaled, old, new = _scaled(queries).to(dtype), memory.vectors.to(dtype), vectors.to(dtype)
    contexts = []
    for start in range(0, steps, _BLOCK):
        stop = min(start + _BLOCK, steps)
        seen = slice(start + 1, stop + window)  # the oldest vector of the memory is too old for every position
        visible = _in_window(stop - start, window, queries.device)
        visible = visible & (pieces[:, seen].unsqueeze(1) == pieces[:, window + start : window + stop].unsqueeze(2))
        parts = old[:, start + 1 :], new[:, max(0, start + 1 - window) : stop]
        contexts.append(_attend(scaled[:, start:stop], parts, visible))
    current = pieces[:, -window:] == pieces[:, -1:]
    last = torch.cat((memory.vectors[:, steps:], vectors[:, -window:]), dim=1).masked_fill_(~current.unsqueeze(2), 0)
    after = Memory(last, current.sum(dim=1).to(memory.length.dtype))
    return torch.cat(contexts, dim=1).to(queries.dtype), after


def window_attention_cell(
    query: Float[Tensor, "B H"], vector: Float[Tensor, "B H"], memory: Memory, bf16: bool = False
) -> tuple[Float[Tensor, "B H"], Memory]:
    """One step of `window_attention`."""
    window = memory.vectors.shape[1]
    vectors = torch.cat((memory.vectors[:, 1:], vector.unsqueeze(1)), dim=1)
    after = Memory(vectors, (memory.length + 1).clamp(max=window))
    visible = (_pieces_in(after) == 0).unsqueeze(1)
    dtype = torch.bfloat16 if bf16 else query.dtype
    context = _attend(_scaled(query).unsqueeze(1).to(dtype), (vectors.to(dtype),), visible)
    return context.squeeze(1).to(query.dtype), after


def _pieces_in(memory: Memory) -> Int[Tensor, "B W"]:
    """0 for a vector of the current piece, -1 for an empty place."""
    window = memory.vectors.shape[1]
    places = torch.arange(window, device=memory.length.device)
    return -(places < window - memory.length.unsqueeze(1)).long()


def _in_window(steps: int, window: int, device: torch.device) -> Bool[Tensor, "T K"]:
    """Which of the W + T - 1 vectors up to the last one each of the last T positions may see."""
    distance = torch.arange(window + steps - 1, device=device) - torch.arange(steps, device=device).unsqueeze(1)
    return (distance >= 0) & (distance < window)


def _scaled(queries: Float[Tensor, "*B H"]) -> Float[Tensor, "*B H"]:
    return queries * queries.shape[-1] ** -0.5


def _attend(
    queries: Float[Tensor, "B T H"], parts: Sequence[Float[Tensor, "B _ H"]], visible: Bool[Tensor, "B T K"]
) -> Float[Tensor, "B T H"]:
    """Attention to the K vectors of all parts, in their order; every query sees at least one."""
    scores = torch.cat([torch.bmm(queries, part.transpose(1, 2)) for part in parts], dim=2)
    weights = scores.masked_fill(~visible, -torch.inf).softmax(dim=2).split([part.shape[1] for part in parts], dim=2)
    first, *others = (torch.bmm(weight, part) for weight, part in zip(weights, parts, strict=True))
    return sum(others, first)
