"""Shared fixtures: small shards, and settings of a run that takes a second."""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from tiny import tiny_config

from pianogen.config import (
    ShardsConfig,
    TrainConfig,
)
from pianogen.ops.native import build
from pianogen.tokens import write_midi
from pianogen.tokens.notes import Notes, canonical

# no deadlines, since machines are noisy; in CI the examples are deterministic, so that a failure can be reproduced
settings.register_profile("pianogen", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("pianogen")
# one thread per process: sums have a fixed order, and the cores are shared with other tests
os.environ.setdefault("OMP_NUM_THREADS", "1")
# without a GPU, Triton's kernels run in its interpreter, which must be chosen before anything imports Triton
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


def random_notes(seed: int, num_notes: int = 60) -> Notes:
    """A synthetic performance: a random walk of the pitch, so that there is something to learn."""
    random = np.random.default_rng(seed)
    onset = np.cumsum(random.choice([0, 1, 2, 4], num_notes))
    pitch = 60 + np.cumsum(random.integers(-2, 3, num_notes)) % 24
    return canonical(onset, random.choice([1, 2, 4], num_notes), pitch)


@pytest.fixture(scope="session")
def tiny_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of twenty synthetic performances, some shorter and some longer than an excerpt."""
    from shards.build import build

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "music").mkdir()
    for number in range(20):
        write_midi(random_notes(number, 12 + 7 * number), folder / "music" / f"{number:02d}.mid")
    build(str(folder / "music"), folder / "shards", ShardsConfig(split="random"))
    return folder / "shards"


@pytest.fixture
def tiny_run(tiny_shards: Path, tmp_path: Path) -> Callable[..., TrainConfig]:
    """Make settings for a run of some steps: `tiny_run(steps=6, model=..., data=...)`."""

    def make(name: str = "run", steps: int = 6, **changes: Any) -> TrainConfig:
        return tiny_config(tiny_shards, tmp_path / name, steps, **changes)

    return make


@pytest.fixture(autouse=True)
def _no_mlflow(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Start no MLflow mirror beside test runs, except for tests marked `mlflow`."""
    if "mlflow" not in request.keywords:
        monkeypatch.setenv("PIANOGEN_TRACK", "off")


@pytest.fixture(scope="session")
def compiled_kernels() -> ctypes.CDLL:
    """The kernels of this machine; a machine without a C compiler says so."""
    library = build.kernels()
    if library is None:
        pytest.skip("no C compiler: the compiled operations cannot be tested")
    return library
