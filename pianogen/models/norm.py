"""Layer norm for the memory layout of activations: (B, T, .) tensors here are views of time-major blocks."""

from jaxtyping import Float
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """Mean 0 and variance 1 over the features of each position, then a scale and a shift of each feature.

    Reference: Ba, Kiros & Hinton (2016), Layer Normalization.
    """

    def forward(self, input: Float[Tensor, "*B H"]) -> Float[Tensor, "*B H"]:  # torch's name
        """Normalise; a (B, T, H) input in time-major order, which saves a copy."""
        if input.dim() == 3:
            return super().forward(input.transpose(0, 1)).transpose(0, 1)
        return super().forward(input)
