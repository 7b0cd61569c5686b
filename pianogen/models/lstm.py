"""The LSTM, as torch.nn.LSTM computes it, with one bias instead of two."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from pianogen.models.layer import LayerState, RecurrentLayer
from pianogen.ops.recurrence import lstm, lstm_cell


class LstmLayer(RecurrentLayer):
    """Gates i, f, g, o; c_t = f c_{t-1} + i g; h_t = o tanh(c_t)."""

    gates_per_unit = 4
    takes_input = True
    state_names = ("h", "c")

    def forward(
        self,
        gates: Float[Tensor, "..."],
        state: LayerState,
        keep: Bool[Tensor, "B T"],
        bf16: bool,
        words: Int[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T H"], LayerState]:
        """Run over time; gate sums are overwritten."""
        below = {"weight_ih": self.weight_ih, "bias": self.bias, "words": words}
        hidden, h, c = lstm(gates, self.weight_hh, state["h"], state["c"], keep, **below, bf16=bf16, reuse=True)
        return hidden, {"h": h, "c": c}

    def step(self, gates: Float[Tensor, "B G"], state: LayerState, bf16: bool) -> LayerState:
        """Take one step."""
        h, c = lstm_cell(gates, self.weight_hh, state["h"], state["c"], bf16=bf16)
        return {"h": h, "c": c}
