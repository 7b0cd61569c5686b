"""Training: one process or many, exactly resumable; the only package that uses accelerate."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from pianogen.config import TrainConfig

if TYPE_CHECKING:
    from pianogen.train.loop import OnValidation, Outcome

__all__ = ["train"]


def train(
    config: TrainConfig, on_validation: "OnValidation | None" = None, given: Collection[str] | None = None
) -> "Outcome":
    """Train or resume one model; see `pianogen.train.loop.train`.

    Imported late: `python -m pianogen.train` imports this package before the command line sets OMP_WAIT_POLICY, which
    OpenMP reads when torch is loaded.
    """
    from pianogen.train.loop import train as run

    return run(config, on_validation, given)
