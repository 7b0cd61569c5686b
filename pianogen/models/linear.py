"""Linear maps for the memory layout of activations: (B, T, .) tensors here are views of time-major blocks."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def linear(
    x: Float[Tensor, "*B H"], weight: Float[Tensor, "G H"], bias: Float[Tensor, " G"] | None = None, bf16: bool = False
) -> Float[Tensor, "*B G"]:
    """Apply a linear map; a (B, T, H) input is multiplied in time-major order, which saves a copy.

    `bf16` makes the product in bfloat16; the result has the type of `x`.
    """
    if x.dim() == 3:
        return linear(x.transpose(0, 1).flatten(0, 1), weight, bias, bf16).unflatten(0, x.shape[1::-1]).transpose(0, 1)
    if not bf16:
        return F.linear(x, weight, bias)
    y = F.linear(x.bfloat16(), weight.bfloat16()).to(x.dtype)
    return y if bias is None else y + bias


def linear_of_parts(
    parts: Sequence[Float[Tensor, "*B H"]], weight: Float[Tensor, "G F"], bias: Float[Tensor, " G"], bf16: bool = False
) -> Float[Tensor, "*B G"]:
    """Apply a linear map to concatenated features, F in all, without the copy."""
    first, *others = weight.split([part.shape[-1] for part in parts], dim=1)
    y = linear(parts[0], first, bias, bf16)
    for part, columns in zip(parts[1:], others, strict=True):
        y = y + linear(part, columns, bf16=bf16)
    return y


def uniform(*shape: int, bound: float) -> torch.nn.Parameter:
    """A parameter drawn uniformly from -bound to bound."""
    return torch.nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
