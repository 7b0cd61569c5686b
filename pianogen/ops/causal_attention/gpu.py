"""The gated running mean as one Triton kernel each way: a program loops over time for a block of one row's channels.

The formulas are those of fused.py. The state stays in registers; a step reads and writes two numbers per channel.
"""

from typing import Any

import triton
import triton.language as tl
from jaxtyping import Bool, Float
from torch import Tensor

from pianogen.ops.causal_attention import node

_BLOCK: Any = 32  # channels of a program: one warp


def causal_mean(
    scores: Float[Tensor, "B T H"],
    values: Float[Tensor, "B T H"],
    lse0: Float[Tensor, "B H"],
    context0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """As `pianogen.ops.causal_attention.causal_mean`."""
    return node.causal_mean(node.Kernels(_forward, _backward), scores, values, lse0, context0, keep)


def _forward(*, weights: Tensor | None, contexts: Tensor, **tensors: Tensor) -> None:
    steps, rows, channels = contexts.shape
    _forward_kernel[rows, triton.cdiv(channels, _BLOCK)](
        **tensors,
        contexts=contexts,
        weights=contexts if weights is None else weights,
        **{"steps": steps, "rows": rows, "channels": channels},
        **{"TRAINS": weights is not None, "BLOCK": _BLOCK, "num_warps": 1},
    )


def _backward(*, values: Tensor, **tensors: Tensor) -> None:
    steps, rows, channels = values.shape
    _backward_kernel[rows, triton.cdiv(channels, _BLOCK)](
        **tensors,
        values=values,
        **{"steps": steps, "rows": rows, "channels": channels},
        **{"BLOCK": _BLOCK, "num_warps": 1},
    )


@triton.jit(do_not_specialize=["steps", "rows", "channels"])
def _forward_kernel(
    scores,  # (T, B, H), as values, weights and contexts
    values,
    keep,  # (T, B)
    lse0,  # (B, H), as context0 and lse
    context0,
    weights,  # not written unless TRAINS
    contexts,
    lse,
    steps,
    rows,
    channels,
    TRAINS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row, channel = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    first = row * channels + channel
    peak = tl.load(lse0 + first, mask=inside, other=0.0)  # lse = peak + log(total)
    context = tl.load(context0 + first, mask=inside, other=0.0)
    total = tl.full(peak.shape, 1.0, peak.dtype)
    at = first
    for t in range(steps):
        kept = tl.load(keep + t * rows + row) != 0
        score = tl.load(scores + at, mask=inside, other=0.0)
        value = tl.load(values + at, mask=inside, other=0.0)
        peak = tl.where(kept, peak, float("-inf"))
        total = tl.where(kept, total, 1.0)
        context = tl.where(kept, context, 0.0)
        higher = score > peak
        lower = tl.exp(tl.where(higher, peak - score, score - peak))  # of the lower one, relative to the higher
        total = tl.where(higher, total * lower + 1.0, total + lower)
        weight = tl.where(higher, 1.0, lower) / total
        peak = tl.where(higher, score, peak)
        context += weight * (value - context)
        tl.store(contexts + at, context, mask=inside)
        if TRAINS:
            tl.store(weights + at, weight, mask=inside)
        at += rows * channels
    tl.store(lse + first, peak + tl.log(total), mask=inside)


@triton.jit(do_not_specialize=["steps", "rows", "channels"])
def _backward_kernel(
    values,  # (T, B, H), as contexts, weights and d_contexts
    contexts,
    weights,
    context0,  # (B, H)
    keep,  # (T, B)
    d_contexts,
    d_lse,  # (B, H), as d_context: before, gradients of the last state; after, those of the first
    d_context,
    d_scores,  # (T, B, H), as d_values
    d_values,
    steps,
    rows,
    channels,
    BLOCK: tl.constexpr,
):
    row, channel = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    first = row * channels + channel
    from_lse = tl.load(d_lse + first, mask=inside, other=0.0)
    from_context = tl.load(d_context + first, mask=inside, other=0.0)
    context = tl.load(context0 + first, mask=inside, other=0.0)
    step = rows.to(tl.int64) * channels
    at = first + (steps - 1) * step
    for back in range(steps):
        t = steps - 1 - back
        kept = tl.load(keep + t * rows + row) != 0
        weight = tl.load(weights + at, mask=inside, other=0.0)
        value = tl.load(values + at, mask=inside, other=0.0)
        earlier = tl.load(contexts + tl.maximum(at - step, first), mask=inside, other=0.0)  # unused at t = 0
        before = tl.where(kept, tl.where(t > 0, earlier, context), 0.0)
        from_context += tl.load(d_contexts + at, mask=inside, other=0.0)
        # only differences of values enter, so that nothing cancels over a long past
        change = (value - before) * from_context
        rest = 1.0 - weight
        tl.store(d_values + at, weight * from_context, mask=inside)
        tl.store(d_scores + at, weight * (from_lse + rest * change), mask=inside)
        from_lse = tl.where(kept, rest * (from_lse - weight * change), 0.0)
        from_context = tl.where(kept, rest * from_context, 0.0)
        at -= step
    tl.store(d_lse + first, from_lse, mask=inside)
    tl.store(d_context + first, from_context, mask=inside)
