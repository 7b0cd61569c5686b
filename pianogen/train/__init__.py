"""Training: one process or many, exactly resumable; the only place that knows accelerate."""

from collections.abc import Callable

from pianogen.config import TrainConfig


def train(config: TrainConfig, on_look: Callable[[int, dict[str, float]], bool] | None = None) -> None:
    """Train one model, or go on where it stopped; see `pianogen.train.loop`."""
    from pianogen.train.loop import train as run

    run(config, on_look)
