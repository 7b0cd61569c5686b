"""The block above the LSTM of a single headed attention RNN: attention over the recent past, then a feed-forward layer.

Its state is bounded: the layer-normed outputs of the LSTM at the last positions.

Reference: Merity (2019), Single Headed Attention RNN: Stop Thinking With Your Head.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pianogen.models.layer import LayerState
from pianogen.models.linear import linear, linear_of_parts, uniform
from pianogen.models.window_attention import Memory, window_attention, window_attention_cell


class ShaBlock(nn.Module):
    """x = norm(h), and c = norm(attention(W_q x over the last x)); optionally x = norm(x + feed-forward(x, c))."""

    def __init__(self, hidden_size: int, *, window: int, feed_forward: bool) -> None:
        super().__init__()
        self.state_shapes = {"memory": (window, hidden_size), "length": ()}
        self.norm, self.context_norm = nn.LayerNorm(hidden_size), nn.LayerNorm(hidden_size)
        self.query = uniform(hidden_size, hidden_size, bound=hidden_size**-0.5)
        self.feed_forward = FeedForward(hidden_size) if feed_forward else None

    def forward(
        self, hidden: Float[Tensor, "B T H"], state: LayerState, keep: Bool[Tensor, "B T"], bf16: bool
    ) -> tuple[tuple[Float[Tensor, "B T H"], Float[Tensor, "B T H"]], LayerState]:
        """Run over time, forgetting a row's past wherever `keep` is false; returns x and c."""
        x, memory = self.norm(hidden), Memory(state["memory"], state["length"])
        contexts, after = window_attention(linear(x, self.query, bf16=bf16), x, memory, keep, bf16)
        return self._above(x, contexts, bf16), {"memory": after.vectors, "length": after.length}

    def step(
        self, h: Float[Tensor, "B H"], state: LayerState, bf16: bool
    ) -> tuple[tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]], LayerState]:
        """Take one step."""
        x, memory = self.norm(h), Memory(state["memory"], state["length"])
        context, after = window_attention_cell(linear(x, self.query, bf16=bf16), x, memory, bf16)
        return self._above(x, context, bf16), {"memory": after.vectors, "length": after.length}

    def _above(self, x: Tensor, context: Tensor, bf16: bool) -> tuple[Tensor, Tensor]:
        context = self.context_norm(context)
        return (x if self.feed_forward is None else self.feed_forward(x, context, bf16)), context


class FeedForward(nn.Module):
    """norm(x + W_2 GELU(W_1 (x, c) + b_1)), four times as wide inside."""

    widening = 4  # inner units for each of its outputs; the compiled step has as many

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        inner = self.widening * hidden_size
        self.wider = uniform(inner, 2 * hidden_size, bound=(2 * hidden_size) ** -0.5)
        self.bias = nn.Parameter(torch.zeros(inner))
        self.narrower = uniform(hidden_size, inner, bound=inner**-0.5)
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, x: Float[Tensor, "*B H"], context: Float[Tensor, "*B H"], bf16: bool) -> Float[Tensor, "*B H"]:
        """Each position alone."""
        inner = F.gelu(linear_of_parts((x, context), self.wider, self.bias, bf16))
        return self.norm(x + linear(inner, self.narrower, bf16=bf16))
