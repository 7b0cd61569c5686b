"""The plain tanh RNN."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from pianogen.models.layer import LayerState, RecurrentLayer
from pianogen.ops.recurrence import rnn, rnn_cell


class RnnLayer(RecurrentLayer):
    """h_t = tanh(W_ih x_t + b + W_hh h_{t-1})."""

    gates_per_unit = 1
    takes_input = True
    state_names = ("h",)

    def forward(
        self,
        gates: Float[Tensor, "..."],
        state: LayerState,
        keep: Bool[Tensor, "B T"],
        bf16: bool,
        words: Int[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T H"], LayerState]:
        """Run over time."""
        below = {"weight_ih": self.weight_ih, "bias": self.bias, "words": words}
        hidden, h = rnn(gates, self.weight_hh, state["h"], keep, **below, bf16=bf16)
        return hidden, {"h": h}

    def step(self, gates: Float[Tensor, "B G"], state: LayerState, bf16: bool) -> LayerState:
        """Take one step."""
        return {"h": rnn_cell(gates, self.weight_hh, state["h"], bf16=bf16)}
