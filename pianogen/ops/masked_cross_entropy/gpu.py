"""Masked cross-entropy as one Triton kernel: a program reads a row of logits once, and writes its gradient and counts.

Counts are integers, so that the order in which programs add to them changes nothing; the loss is added up by torch.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from pianogen.ops.masked_cross_entropy.reference import DURATION, END, IGNORE, NOTE, NUM_GROUPS, WAIT, MaskedLoss
from pianogen.tokens.vocab import EOS, FIRST_DURATION, FIRST_NOTE, LAST_DURATION, SEP

# a kernel reads only such constants of its module
_IGNORE, _NUM_GROUPS = tl.constexpr(IGNORE), tl.constexpr(NUM_GROUPS)
_NOTE, _WAIT, _DURATION, _END = (tl.constexpr(group) for group in (NOTE, WAIT, DURATION, END))
_FIRST_NOTE, _FIRST_DURATION = tl.constexpr(FIRST_NOTE), tl.constexpr(FIRST_DURATION)
_LAST_DURATION, _SEP, _EOS = tl.constexpr(LAST_DURATION), tl.constexpr(SEP), tl.constexpr(EOS)


def masked_cross_entropy(
    logits: Float[Tensor, "N V"],
    targets: Int[Tensor, " N"],
    states: Int[Tensor, " N"],
    allowed: Bool[Tensor, "S V"],
    *,
    reuse: bool = False,
) -> MaskedLoss:
    """As `pianogen.ops.masked_cross_entropy.masked_cross_entropy`."""
    loss_sum, nll_sum, counts = _MaskedLoss.apply(logits, targets, states, allowed, reuse)
    true_positive, predicted, support = counts
    return MaskedLoss(
        loss_sum=loss_sum,
        num_targets=support.sum(),
        nll_sum=nll_sum,
        correct=true_positive.sum(dim=1),
        true_positive=true_positive,
        predicted=predicted,
        support=support,
    )


class _MaskedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, states: Tensor, allowed: Tensor, reuse: bool):
        ctx.set_materialize_grads(False)
        logits, (num_rows, num_words) = logits.detach().contiguous(), logits.shape
        gradient = logits if reuse else torch.empty_like(logits)
        nll = torch.empty(
            NUM_GROUPS, num_rows, dtype=torch.promote_types(logits.dtype, torch.float32), device=logits.device
        )
        counts = torch.zeros(3, NUM_GROUPS, num_words, dtype=torch.int64, device=logits.device)
        block = triton.next_power_of_2(num_words)
        sizes: dict[str, Any] = {"num_rows": num_rows, "num_words": num_words, "BLOCK": block, "num_warps": 1}
        _kernel[(num_rows,)](
            **{"logits": logits, "targets": targets.contiguous(), "states": states.contiguous()},
            **{"allowed": allowed.contiguous(), "gradient": gradient, "nll": nll, "counts": counts},
            **sizes,
        )
        ctx.save_for_backward(gradient)
        nll_sum = nll.sum(dim=1, dtype=torch.float64)
        ctx.mark_non_differentiable(nll_sum, counts)
        return nll_sum.sum().to(nll.dtype), nll_sum, counts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0], None, None, None, None


@triton.jit(do_not_specialize=["num_rows"])
def _kernel(
    logits,  # (N, V), as gradient, which may be the same
    targets,  # (N), as states
    states,
    allowed,  # (S, V)
    gradient,
    nll,  # (K, N): 0 outside the target's group
    counts,  # (3, K, V): true positives, predictions, targets
    num_rows,
    num_words,
    BLOCK: tl.constexpr,
):
    row, word = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    inside = word < num_words
    target = tl.load(targets + row).to(tl.int64)
    counted = target != _IGNORE
    state = tl.load(states + row, mask=counted, other=0).to(tl.int64)
    admitted = (tl.load(allowed + state * num_words + word, mask=inside, other=0) != 0) & inside
    x = tl.load(logits + row * num_words + word, mask=inside, other=0.0).to(nll.dtype.element_ty)
    x = tl.where(admitted, x, float("-inf"))
    peak = tl.max(x, axis=0)
    prediction = tl.min(tl.where(admitted & (x == peak), word, num_words), axis=0)
    prediction = tl.where(prediction < num_words, prediction, 0)  # not a number equals nothing
    relative = tl.where(admitted, tl.exp(x - peak), 0.0)
    total = tl.sum(relative, axis=0)
    is_target = word == target
    legal = tl.max((is_target & admitted).to(tl.int32), axis=0) != 0
    chosen = tl.sum(tl.where(is_target & admitted, x, 0.0), axis=0)
    loss = tl.where(legal, tl.log(total) + peak - chosen, float("inf"))
    slope = tl.where(counted & legal, relative / total - tl.where(is_target, 1.0, 0.0), 0.0)
    tl.store(gradient + row * num_words + word, slope.to(gradient.dtype.element_ty), mask=inside)

    group = tl.where((target >= _FIRST_NOTE) & (target < _FIRST_DURATION), _NOTE, _DURATION)
    may_wait = tl.load(allowed + state * num_words + _LAST_DURATION) != 0
    group = tl.where((target == _SEP) | (may_wait & (target >= _FIRST_DURATION)), _WAIT, group)
    group = tl.where(target == _EOS, _END, group)
    each = tl.arange(0, _NUM_GROUPS)
    tl.store(nll + each * num_rows + row, tl.where(counted & (each == group), loss, 0.0))
    table = num_words * _NUM_GROUPS
    tl.atomic_add(counts + group * num_words + target, 1, mask=counted & (prediction == target))
    tl.atomic_add(counts + table + group * num_words + prediction, 1, mask=counted)
    tl.atomic_add(counts + 2 * table + group * num_words + target, 1, mask=counted)
