"""The causal mean in its fastest form for the device and type at hand."""

from jaxtyping import Bool, Float
from torch import Tensor

from pianogen.ops.causal_attention import fused, native
from pianogen.ops.forms import compiled, for_triton


def causal_mean(
    scores: Float[Tensor, "B T H"],
    values: Float[Tensor, "B T H"],
    lse0: Float[Tensor, "B H"],
    context0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """Mean of values 1..t under softmax(scores 1..t), for every t; where `keep` is false the row's past ends before t.

    Returns (contexts, lse_last, context_last).
    """
    if for_triton(values):
        from pianogen.ops.causal_attention import gpu  # Triton may be missing

        return gpu.causal_mean(scores, values, lse0, context0, keep)
    form = native if compiled(values) else fused
    return form.causal_mean(scores, values, lse0, context0, keep)
