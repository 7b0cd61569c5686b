"""Training: one process or many, exactly resumable; the only place that knows accelerate."""

from collections.abc import Callable
from typing import Literal

from pianogen.config import TrainConfig

Outcome = Literal["finished", "pruned", "stopped"]
"""The budget is spent; `on_look` gave the run up; somebody asked to stop."""
OnLook = Callable[[int, dict[str, float]], bool]
"""Gets the step and metrics of each validation, on the main rank, and returns whether to give the run up."""


def train(config: TrainConfig, on_look: OnLook | None = None) -> Outcome:
    """Train one model, or go on where it stopped, and say how it ended; see `pianogen.train.loop`."""
    from pianogen.train.loop import train as run

    return run(config, on_look)
