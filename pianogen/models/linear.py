"""Linear maps for the memory layout of activations: (B, T, .) tensors here are views of time-major blocks."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pianogen.ops.forms import for_gpu
from pianogen.ops.linear import linear

__all__ = ["linear", "linear_of_parts", "uniform"]


def linear_of_parts(
    parts: Sequence[Float[Tensor, "*B H"]], weight: Float[Tensor, "G F"], bias: Float[Tensor, " G"], bf16: bool = False
) -> Float[Tensor, "*B G"]:
    """Apply a linear map to concatenated features, F in all; without the copy, but for GPUs, where launches count."""
    if for_gpu(parts[0]) and parts[0].dim() == 3:
        return linear(torch.cat([part.transpose(0, 1) for part in parts], dim=2).transpose(0, 1), weight, bias, bf16)
    first, *others = weight.split([part.shape[-1] for part in parts], dim=1)
    y = linear(parts[0], first, bias, bf16)
    for part, columns in zip(parts[1:], others, strict=True):
        y = y + linear(part, columns, bf16=bf16)
    return y


def uniform(*shape: int, bound: float) -> torch.nn.Parameter:
    """A parameter drawn uniformly from -bound to bound."""
    return torch.nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
