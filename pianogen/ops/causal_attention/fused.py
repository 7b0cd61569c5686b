"""The gated running mean as one autograd node: a forward loop that saves weights and contexts, and a backward loop.

Internally, time is the outer axis; inputs and outputs are batch first, possibly as views. The sum of exponentials is
stored relative to the highest score so far, not as a logarithm: this costs the same and has smaller rounding errors.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from pianogen.ops.resets import resets, states, zeroed


def causal_mean(
    scores: Float[Tensor, "B T H"],
    values: Float[Tensor, "B T H"],
    lse0: Float[Tensor, "B H"],
    context0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """Mean of values 1..t weighted by softmax(scores 1..t), for every t; `keep` false at t discards the row's past.

    Returns (contexts, lse_last, context_last).
    """
    trains = torch.is_grad_enabled() and any(x.requires_grad for x in (scores, values, lse0, context0))
    return _CausalMean.apply(scores, values, lse0, context0, keep, trains)  # type: ignore[return-value]


class _CausalMean(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, values: Tensor, lse0: Tensor, context0: Tensor, keep: Tensor, trains: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        scores, by_time = scores.transpose(0, 1), values.transpose(0, 1)
        contexts = states(context0, len(scores))
        weights = lse0.new_empty(len(scores) if trains else 1, *lse0.shape)
        peak, total = lse0.clone(), torch.ones_like(lse0)  # lse = peak + log(total)
        for t, reset in enumerate(resets(keep)):
            weight = weights[t if trains else 0]
            if reset is not None:
                peak.masked_fill_(reset, -torch.inf)
            _weigh(scores[t], peak, total, out=weight)
            torch.lerp(zeroed(contexts[t], reset), by_time[t], weight, out=contexts[t + 1])
        if trains:
            ctx.save_for_backward(values, contexts, weights, keep)
        return contexts[1:].transpose(0, 1), total.log_().add_(peak), contexts[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        values, contexts, weights, keep = ctx.saved_tensors
        values, d_contexts = values.transpose(0, 1), gradients[0].transpose(0, 1)
        d_lse, d_context = gradients[1].clone(), gradients[2].clone()
        d_scores, d_values = torch.empty_like(weights), torch.empty_like(weights)
        for t, reset in reversed(list(enumerate(resets(keep)))):
            d_context.add_(d_contexts[t])
            before = zeroed(contexts[t], reset)
            _differentiate(d_lse, d_context, weights[t], values[t] - before, d_scores[t], d_values[t])
            d_lse, d_context = zeroed(d_lse, reset), zeroed(d_context, reset)
        return d_scores.transpose(0, 1), d_values.transpose(0, 1), d_lse, d_context, None, None


def _weigh(scores: Tensor, peak: Tensor, total: Tensor, out: Tensor) -> None:
    """Write the weight of one step, and update `peak` and `total` in place; a peak of -inf discards the total."""
    higher = torch.maximum(peak, scores)
    total.mul_(peak.sub_(higher).exp_())
    peak.copy_(higher)
    total.add_(torch.sub(scores, higher, out=out).exp_())
    out.div_(total)


def _differentiate(
    d_lse: Tensor, d_context: Tensor, weight: Tensor, step: Tensor, d_scores: Tensor, d_values: Tensor
) -> None:
    """Write the gradients of one step, and propagate `d_lse` and `d_context` one step back in place.

    `step` is the value minus the previous context; using only differences avoids cancellation over a long past.
    """
    rest = 1 - weight
    torch.mul(weight, d_context, out=d_values)
    step.mul_(d_context)
    torch.addcmul(d_lse, rest, step, out=d_scores).mul_(weight)
    d_lse.addcmul_(weight, step, value=-1).mul_(rest)
    d_context.mul_(rest)
