"""The gated running mean as one autograd node around two kernels, which the compiled and the GPU form supply."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable


class Kernels(NamedTuple):
    """Both read and write contiguous, time-major tensors, named by keyword."""

    forward: Callable[..., None]
    """Reads scores, values, keep, lse0 and context0; writes contexts, lse and, unless they are None, weights."""
    backward: Callable[..., None]
    """Reads values, contexts, weights, context0, keep and d_contexts; writes d_scores and d_values.

    d_lse and d_context hold the gradients of the last state before, and those of the first state after.
    """


def causal_mean(
    kernels: Kernels,
    scores: Float[Tensor, "B T H"],
    values: Float[Tensor, "B T H"],
    lse0: Float[Tensor, "B H"],
    context0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """As `pianogen.ops.causal_attention.causal_mean`, by these kernels."""
    trains = torch.is_grad_enabled() and any(x.requires_grad for x in (scores, values, lse0, context0))
    return _CausalMean.apply(scores, values, lse0, context0, keep, trains, kernels)  # type: ignore[return-value]


class _CausalMean(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        scores: Tensor,
        values: Tensor,
        lse0: Tensor,
        context0: Tensor,
        keep: Tensor,
        trains: bool,
        kernels: Kernels,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        scores, values, keep = (x.transpose(0, 1).contiguous() for x in (scores, values, keep))
        lse0, context0 = lse0.contiguous(), context0.contiguous()
        contexts, lse, weights = torch.empty_like(values), torch.empty_like(lse0), None
        if trains:
            weights = torch.empty_like(values)
            ctx.save_for_backward(values, contexts, weights, context0, keep)
            ctx.kernels = kernels
        kernels.forward(
            **{"scores": scores, "values": values, "keep": keep, "lse0": lse0, "context0": context0},
            **{"weights": weights, "contexts": contexts, "lse": lse},
        )
        return contexts.transpose(0, 1), lse, contexts[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        values, contexts, weights, context0, keep = ctx.saved_tensors
        d_contexts = torch.zeros_like(contexts) if gradients[0] is None else gradients[0].transpose(0, 1).contiguous()
        d_lse, d_context = (
            torch.zeros_like(context0) if gradient is None else gradient.clone(memory_format=torch.contiguous_format)
            for gradient in gradients[1:]
        )
        d_scores, d_values = torch.empty_like(weights), torch.empty_like(weights)
        ctx.kernels.backward(
            **{"values": values, "contexts": contexts, "keep": keep, "weights": weights, "context0": context0},
            **{"d_contexts": d_contexts, "d_lse": d_lse, "d_context": d_context},
            **{"d_scores": d_scores, "d_values": d_values},
        )
        return d_scores.transpose(0, 1), d_values.transpose(0, 1), d_lse, d_context, None, None, None
