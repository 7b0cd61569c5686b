"""Masked cross-entropy as one pass of a compiled kernel over the logits, in whose place it leaves their gradient."""

import ctypes
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from pianogen.ops.masked_cross_entropy.reference import IGNORE, MaskedLoss, summed
from pianogen.ops.native import Kernel, kernels

_POINTERS = ("logits", "targets", "states", "allowed", "nll", "prediction")


def masked_cross_entropy(
    logits: Float[Tensor, "N V"],
    targets: Int[Tensor, " N"],
    states: Int[Tensor, " N"],
    allowed: Bool[Tensor, "S V"],
    *,
    reuse: bool = False,
) -> MaskedLoss:
    """As `pianogen.ops.masked_cross_entropy.masked_cross_entropy`."""
    targets, states = targets.long().contiguous(), states.long().contiguous()
    loss_sum, nll, prediction = _MaskedLoss.apply(logits, targets, states, allowed, reuse)
    if not (targets == IGNORE).any():
        return summed(loss_sum, nll, prediction, targets, states, allowed)
    rows = (targets != IGNORE).nonzero().squeeze(1)
    return summed(loss_sum, nll[rows], prediction[rows], targets[rows], states[rows], allowed)


@cache
def _kernel(library: ctypes.CDLL) -> Kernel:
    return Kernel(library, "masked_loss", ("rows", "words"), _POINTERS)


class _MaskedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, states: Tensor, allowed: Tensor, reuse: bool):
        library = kernels()
        assert library is not None
        gradient = (
            logits.detach().contiguous() if reuse else logits.detach().clone(memory_format=torch.contiguous_format)
        )
        nll, prediction = logits.new_empty(len(logits)), torch.empty_like(targets)
        _kernel(library)(
            **{"rows": len(logits), "words": logits.shape[1], "logits": gradient, "targets": targets, "states": states},
            **{"allowed": allowed.int().neg_().contiguous(), "nll": nll, "prediction": prediction},
        )
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(nll, prediction)
        return nll.sum(), nll, prediction

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0], None, None, None, None
