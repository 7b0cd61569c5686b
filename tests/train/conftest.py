"""Runs that nothing disturbs, which tests compare others with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_config

from pianogen.config import TrainConfig
from pianogen.train import train


@pytest.fixture(scope="session")
def undisturbed(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TrainConfig]:
    """Train as `tiny_run` describes, in one process and once for all tests that name the same settings.

    Tests read it, or take a copy.
    """
    folder, trained = tmp_path_factory.mktemp("undisturbed"), dict[str, TrainConfig]()

    def run(steps: int = 6, **changes: Any) -> TrainConfig:
        key = repr((steps, sorted(changes.items())))
        if key not in trained:
            config = tiny_config(tiny_shards, folder / str(len(trained)), steps, **changes)
            train(config)
            trained[key] = config
        return trained[key]

    return run
