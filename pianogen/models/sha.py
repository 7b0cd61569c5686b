"""The block above the LSTM of a single headed attention RNN: attention over the recent past, then a feed-forward layer.

Its state is bounded: the layer-normed outputs of the LSTM at the last positions.

Reference: Merity (2019), Single Headed Attention RNN: Stop Thinking With Your Head.
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pianogen.models.layer import LayerState
from pianogen.models.linear import linear, uniform
from pianogen.models.window_attention import Memory, window_attention, window_attention_cell

WINDOW = 256  # positions that attention sees, the current one included
_WIDENING = 4  # inner units of the feed-forward layer for each of its outputs


class ShaBlock(nn.Module):
    """x = norm(h); y = norm(x + W_o attention(W_q x over the last x)); and optionally norm(y + feed-forward(y))."""

    def __init__(self, hidden_size: int, *, feed_forward: bool) -> None:
        super().__init__()
        bound = hidden_size**-0.5
        self.state_shapes = {"memory": (WINDOW, hidden_size), "length": ()}
        self.memory_norm = nn.LayerNorm(hidden_size)
        self.query = uniform(hidden_size, hidden_size, bound=bound)
        self.output = uniform(hidden_size, hidden_size, bound=bound)
        self.norm = nn.LayerNorm(hidden_size)
        self.feed_forward = FeedForward(hidden_size) if feed_forward else None

    def forward(
        self, hidden: Float[Tensor, "B T H"], state: LayerState, keep: Bool[Tensor, "B T"], bf16: bool
    ) -> tuple[Float[Tensor, "B T H"], LayerState]:
        """Run over time, forgetting a row's past wherever `keep` is false."""
        x, memory = self.memory_norm(hidden), Memory(state["memory"], state["length"])
        contexts, after = window_attention(linear(x, self.query, bf16=bf16), x, memory, keep, bf16)
        return self._above(x, contexts, bf16), {"memory": after.vectors, "length": after.length}

    def step(self, h: Float[Tensor, "B H"], state: LayerState, bf16: bool) -> tuple[Float[Tensor, "B H"], LayerState]:
        """Take one step."""
        x, memory = self.memory_norm(h), Memory(state["memory"], state["length"])
        context, after = window_attention_cell(linear(x, self.query, bf16=bf16), x, memory, bf16)
        return self._above(x, context, bf16), {"memory": after.vectors, "length": after.length}

    def _above(self, x: Float[Tensor, "*B H"], context: Float[Tensor, "*B H"], bf16: bool) -> Float[Tensor, "*B H"]:
        y = self.norm(x + linear(context, self.output, bf16=bf16))
        return y if self.feed_forward is None else self.feed_forward(y, bf16)


class FeedForward(nn.Module):
    """norm(y + W_2 GELU(W_1 y + b_1)), four times as wide inside."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        inner = _WIDENING * hidden_size
        self.wider = uniform(inner, hidden_size, bound=hidden_size**-0.5)
        self.bias = nn.Parameter(self.wider.new_zeros(inner))
        self.narrower = uniform(hidden_size, inner, bound=inner**-0.5)
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, y: Float[Tensor, "*B H"], bf16: bool) -> Float[Tensor, "*B H"]:
        """Each position alone."""
        inner = F.gelu(linear(y, self.wider, self.bias, bf16))
        return self.norm(y + linear(inner, self.narrower, bf16=bf16))
