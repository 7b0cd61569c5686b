"""Shared fixtures: small shards, and settings of a run that takes a second."""

import ctypes
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import unsynced  # noqa: F401 - for what it does
from hypothesis import settings
from tiny import random_notes, tiny_config

from pianogen.config import (
    ShardsConfig,
    TrainConfig,
)
from pianogen.data import ShardSet, open_shards
from pianogen.ops.native import build
from pianogen.tokens import write_midi

# no deadlines, since machines are noisy; in CI the examples are deterministic, so that a failure can be reproduced
settings.register_profile("pianogen", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("pianogen")
# one thread per process: sums have a fixed order, and the cores are shared with other tests
os.environ.setdefault("OMP_NUM_THREADS", "1")
# a shell that starts the suite in the background has it ignore Ctrl-C, and so would every command that a test starts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# without a GPU, Triton's kernels run in its interpreter, which must be chosen before anything imports Triton
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


# folders whose tests start many processes; each of their files takes a minute or so
_LONG = ("plugins", "train", "sweep", "track", "launch", "storage", "shards")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the long files, so that at the end no process of `make test` waits for another that has one left."""

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return _LONG.index(folder) if folder in _LONG else len(_LONG)

    items.sort(key=place)


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
def shards(tiny_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShardSet:
    """A copy of the tiny shards beside which nothing is kept yet, and an empty cache of the user."""
    monkeypatch.setenv("PIANOGEN_CACHE", str(tmp_path / "user"))
    return open_shards(shutil.copytree(tiny_shards, tmp_path / "shards", ignore=shutil.ignore_patterns(".*")))


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
