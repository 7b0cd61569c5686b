"""Training: one process or many, exactly resumable; the only place that knows accelerate."""

from collections.abc import Callable
from typing import Literal

from pianogen.config import TrainConfig

OnLook = Callable[[int, dict[str, float]], bool]


def train(config: TrainConfig, on_look: OnLook | None = None) -> Literal["finished", "pruned", "stopped"]:
    """Train one model, or go on where it stopped, and say how it ended; see `pianogen.train.loop`."""
    from pianogen.train.loop import train as run

    return run(config, on_look)
