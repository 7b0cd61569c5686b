"""The gated running mean as one call of a compiled kernel each way; see pianogen/ops/native/attention.h."""

import ctypes
from functools import cache

from jaxtyping import Bool, Float
from torch import Tensor

from pianogen.ops.causal_attention import node
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
    return node.causal_mean(node.Kernels(_forward, _backward), scores, values, lse0, context0, keep)


@cache
def _kernel(library: ctypes.CDLL, name: str) -> Kernel:
    return Kernel(library, name, _SIZES, _FORWARD if name.endswith("forward") else _BACKWARD)


def _forward(**tensors: Tensor | None) -> None:
    _call("causal_mean_forward", tensors)


def _backward(**tensors: Tensor | None) -> None:
    _call("causal_mean_backward", tensors)


def _call(name: str, tensors: dict[str, Tensor | None]) -> None:
    library, values = kernels(), tensors["values"]
    assert library is not None
    assert values is not None
    steps, rows, channels = values.shape
    _kernel(library, name)(steps=steps, rows=rows, channels=channels, **tensors)
