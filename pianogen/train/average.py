"""The exponential moving average of the weights, which validation and every later reader of a checkpoint use."""

from collections.abc import Mapping

import torch

Tensors = Mapping[str, torch.Tensor]


class WeightAverage:
    """An average over about the last 1 / (1 - decay) steps; over fewer while there have been few."""

    def __init__(self, decay: float, weights: Tensors) -> None:
        self._decay = decay
        self.weights = {name: value.detach().clone() for name, value in weights.items()}
        """Averaged, by parameter name."""

    @torch.no_grad()
    def update(self, weights: Tensors, step: int) -> None:
        """Add the weights after step number `step`, from 0; early steps weigh more, for the initial weights to vanish.

        Reference: the warm-up of TensorFlow's ExponentialMovingAverage with num_updates.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, average in self.weights.items():
            average.lerp_(weights[name], 1 - decay)

    def load(self, weights: Tensors) -> None:
        """Continue from an average that was saved, on any device."""
        for name, average in self.weights.items():
            average.copy_(weights[name])
