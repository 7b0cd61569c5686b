"""The gated running mean as one call of a compiled kernel each way; see pianogen/ops/native/attention.h."""

import ctypes
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from pianogen.ops.native import Kernel, kernels

_SIZES = ("steps", "rows", "channels")
_FORWARD = ("scores", "values", "lse0", "context0", "keep", "weights", "contexts", "lse")
_BACKWARD = (
    *("d_contexts", "values", "contexts", "weights", "context0", "keep"),
    *("d_lse", "d_context", "d_scores", "d_values"),
)


def causal_mean(
    scores: Float[Tensor, "B T H"],
    values: Float[Tensor, "B T H"],
    lse0: Float[Tensor, "B H"],
    context0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """As `pianogen.ops.causal_attention.causal_mean`."""
    trains = torch.is_grad_enabled() and any(x.requires_grad for x in (scores, values, lse0, context0))
    return _CausalMean.apply(scores, values, lse0, context0, keep, trains)  # type: ignore[return-value]


@cache
def _kernel(library: ctypes.CDLL, name: str) -> Kernel:
    return Kernel(library, name, _SIZES, _FORWARD if name.endswith("forward") else _BACKWARD)


class _CausalMean(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, values: Tensor, lse0: Tensor, context0: Tensor, keep: Tensor, trains: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        library = kernels()
        assert library is not None
        scores, values, keep = (x.transpose(0, 1).contiguous() for x in (scores, values, keep))
        contexts, lse, context0 = torch.empty_like(values), torch.empty_like(lse0), context0.contiguous()
        weights = torch.empty_like(values) if trains else None
        steps, rows, channels = values.shape
        _kernel(library, "causal_mean_forward")(
            **{"steps": steps, "rows": rows, "channels": channels, "scores": scores, "values": values, "keep": keep},
            **{"lse0": lse0.contiguous(), "context0": context0, "weights": weights, "contexts": contexts, "lse": lse},
        )
        if trains:
            ctx.save_for_backward(values, contexts, weights, context0, keep)
        return contexts.transpose(0, 1), lse, contexts[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        library = kernels()
        assert library is not None
        values, contexts, weights, context0, keep = ctx.saved_tensors
        d_contexts = gradients[0].transpose(0, 1).contiguous()
        d_lse, d_context = (gradient.clone().contiguous() for gradient in gradients[1:])
        d_scores, d_values = torch.empty_like(weights), torch.empty_like(weights)
        steps, rows, channels = values.shape
        _kernel(library, "causal_mean_backward")(
            **{
                "steps": steps,
                "rows": rows,
                "channels": channels,
                "values": values,
                "contexts": contexts,
                "keep": keep,
            },
            **{"weights": weights, "context0": context0, "d_contexts": d_contexts, "d_lse": d_lse},
            **{"d_context": d_context, "d_scores": d_scores, "d_values": d_values},
        )
        return d_scores.transpose(0, 1), d_values.transpose(0, 1), d_lse, d_context, None, None
