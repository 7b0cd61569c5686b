"""The state of a training run between two steps: everything that a checkpoint contains."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch

from pianogen.models import State
from pianogen.runs.checkpoint import load_tensors


@dataclass(frozen=True)
class Best:
    """The checkpoint with the lowest validation NLL."""

    step: int
    nll: float
    """Nats per token."""
    slice_tokens: int
    """Tokens of the validation split on which the NLL was measured."""


@dataclass
class Position:
    """The progress of a run."""

    step: int = 0
    tokens: int = 0
    """Targets seen."""
    seconds: float = 0.0
    """Spent training, over all attempts."""
    skipped: int = 0
    """Steps skipped because the gradient was not finite."""
    skipped_in_a_row: int = 0
    last_validated_step: int | None = None
    best: Best | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read the position of a training.json; format 2 calls the last validated step `looked_at`."""
        values = {"last_validated_step" if name == "looked_at" else name: value for name, value in values.items()}
        best = values.pop("best", None)
        return cls(**values, best=Best(**best) if best else None)


@dataclass(frozen=True)
class TrainingState:
    """The content of a checkpoint, the same for any number of ranks and any parallelism."""

    model: dict[str, torch.Tensor]
    """Weights by parameter name, for evaluation: with optim.ema their average."""
    optimizer: dict[str, torch.Tensor]
    """Moments of Adam and Muon as `MOMENT.PARAMETER`."""
    state: State
    """Recurrent state of each row of the global batch."""
    position: Position
    unaveraged: dict[str, torch.Tensor] | None = None
    """With optim.ema the weights that training continues with; otherwise these are `model`."""

    @classmethod
    def load(cls, path: Path, training: Mapping[str, Any]) -> Self:
        """Read a verified checkpoint; format 2 keeps the state in lanes.safetensors."""
        model, optimizer = (load_tensors(path, group) for group in ("model", "optimizer"))
        state = load_tensors(path, "lanes" if training["format"] == 2 else "state")
        unaveraged = load_tensors(path, "unaveraged") if (path / "unaveraged.safetensors").exists() else None
        return cls(model, optimizer, state, Position.from_json(training["position"]), unaveraged)

    def tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        """The tensors by the file they are kept in."""
        groups = {"model": self.model, "optimizer": self.optimizer, "state": self.state}
        return groups if self.unaveraged is None else groups | {"unaveraged": self.unaveraged}

    def position_json(self) -> dict[str, Any]:
        """What `Position.from_json` reads."""
        return asdict(self.position)
