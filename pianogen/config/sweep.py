"""Settings of `pianogen sweep`."""

from dataclasses import dataclass

from pianogen.config.rules import require


@dataclass(frozen=True)
class SweepConfig:
    """How hyperparameters are searched; each trial is a training run."""

    trials: int | None = None
    """Total number of trials, over all workers and calls; by default 20, or the whole grid."""
    grid: bool = False
    """Try every combination instead of letting Optuna choose; ranges then need a step."""
    prune: bool = True
    """Stop a trial early when its best validation NLL is above the median of finished trials at the same step."""
    prune_after: int = 5
    """Trials that must finish before any is stopped early."""

    def __post_init__(self) -> None:
        require(self.trials is None or self.trials >= 1, "trials", self.trials, "at least 1")
        require(self.prune_after >= 1, "prune_after", self.prune_after, "at least 1")
