"""Hyperparameter search: trials chosen by Optuna or from a grid, each a run folder, shared by any number of workers."""

from pathlib import Path

from pianogen.config import SweepConfig, TrainConfig


def sweep(space: Path, config: TrainConfig, settings: SweepConfig) -> bool:
    """Start or resume a sweep; see `pianogen.sweep.worker.work`."""
    from pianogen.sweep.worker import work

    return work(space, config, settings)
