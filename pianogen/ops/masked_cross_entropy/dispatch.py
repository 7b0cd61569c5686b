"""The masked cross-entropy in its fastest form for the device and type at hand."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from pianogen.ops.forms import compiled, for_triton
from pianogen.ops.masked_cross_entropy import native, reference
from pianogen.ops.masked_cross_entropy.reference import MaskedLoss


def masked_cross_entropy(
    logits: Float[Tensor, "N V"],
    targets: Int[Tensor, " N"],
    states: Int[Tensor, " N"],
    allowed: Bool[Tensor, "S V"],
    *,
    reuse: bool = False,
) -> MaskedLoss:
    """Score each target against the words its grammar state allows; `IGNORE` targets are left out before anything else.

    The prediction is the likeliest allowed word, the first of equals. `reuse` lets the gradient take the place of the
    logits, which must not be read afterwards.
    """
    if for_triton(logits):
        from pianogen.ops.masked_cross_entropy import gpu  # Triton may be missing

        return gpu.masked_cross_entropy(logits, targets, states, allowed, reuse=reuse)
    if compiled(logits):
        return native.masked_cross_entropy(logits, targets, states, allowed, reuse=reuse)
    return reference.masked_cross_entropy(logits, targets, states, allowed)
