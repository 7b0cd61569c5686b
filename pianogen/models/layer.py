"""What recurrent layers have in common: weights, and the projection of the layer below."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

from pianogen.models.linear import linear, uniform

LayerState = dict[str, Tensor]  # name -> (B, H)


class RecurrentLayer(nn.Module, ABC):
    """One layer over gate sums; the first layer gets them from the embedding, a higher one projects what is below."""

    gates_per_unit: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]]
    takes_input: ClassVar[bool] = False
    """Whether `forward` takes the output of the layer below, (B, T, H), and makes the gate sums of it.

    In the first layer it then takes a table (V, G), and in the argument `words`, (B, T), which rows to read.
    """

    def __init__(self, hidden_size: int, *, first: bool) -> None:
        super().__init__()
        num_gates, bound = self.gates_per_unit * hidden_size, hidden_size**-0.5
        self.weight_hh = uniform(num_gates, hidden_size, bound=bound)
        self.weight_ih = None if first else uniform(num_gates, hidden_size, bound=bound)
        self.bias = None if first else uniform(num_gates, bound=bound)

    def project(self, below: Float[Tensor, "*B H"], bf16: bool) -> Float[Tensor, "*B G"]:
        """W_ih x + b of the layer below."""
        assert self.weight_ih is not None
        return linear(below, self.weight_ih, self.bias, bf16)

    @abstractmethod
    def forward(
        self, gates: Float[Tensor, "B T G"], state: LayerState, keep: Bool[Tensor, "B T"], bf16: bool
    ) -> tuple[Float[Tensor, "B T H"], LayerState]:
        """Run over time, zeroing a row's state wherever `keep` is false."""

    @abstractmethod
    def step(self, gates: Float[Tensor, "B G"], state: LayerState, bf16: bool) -> LayerState:
        """Take one step; the output is the new state's `h`."""
