"""A linear map for the memory layout of activations: (B, T, .) tensors here are views of time-major blocks."""

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
