"""Feed-forward attention of each hidden channel over its own past, position t included.

Scores are W_a h with no bias: the softmax over time cancels it, so that its gradient would be rounding noise, which
Adam would blow up.

Reference: Abbou (2020), DeepClassic; Raffel & Ellis (2015), Feed-Forward Networks with Attention.
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from pianogen.models.layer import LayerState
from pianogen.models.linear import linear, uniform
from pianogen.ops.causal_attention import causal_mean, causal_mean_cell


class CausalAttention(nn.Module):
    """The context of every position: a mean of the hidden states so far, weighted by one softmax per channel."""

    state_names = ("lse", "context")

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.weight = uniform(hidden_size, hidden_size, bound=hidden_size**-0.5)

    def forward(
        self, hidden: Float[Tensor, "B T H"], state: LayerState, keep: Bool[Tensor, "B T"], bf16: bool
    ) -> tuple[Float[Tensor, "B T H"], LayerState]:
        """Run over time, forgetting a row's past wherever `keep` is false."""
        scores = linear(hidden, self.weight, bf16=bf16)
        contexts, lse, context = causal_mean(scores, hidden, state["lse"], state["context"], keep)
        return contexts, {"lse": lse, "context": context}

    def step(self, h: Float[Tensor, "B H"], state: LayerState, bf16: bool) -> LayerState:
        """Take one step; the output is the new state's `context`."""
        scores = linear(h, self.weight, bf16=bf16)
        lse, context = causal_mean_cell(scores, h, state["lse"], state["context"])
        return {"lse": lse, "context": context}
