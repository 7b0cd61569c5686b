"""Small folders of made-up pieces, and whole jobs on them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import CAN_FORK
from forked_workers import module_for
from small_sources import Finished, piece

from pianogen.config import ShardsConfig
from pianogen.manifest import Manifest
from pianogen.tokens import midi_bytes
from shards import pool
from shards.build import build


@pytest.fixture(scope="session")
def real_workers() -> None:
    """For a test of the workers themselves."""


@pytest.fixture(autouse=True)
def _forked_workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have jobs fork their workers, except those of tests that ask for real ones."""
    if CAN_FORK and "real_workers" not in request.fixturenames:
        monkeypatch.setattr(pool, "subprocess", module_for(pool.WORKER))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A job with default settings on twelve pieces in two folders; for looking at only."""
    place = tmp_path_factory.mktemp("finished")
    for seed in range(12):
        path = place / "music" / f"book{seed % 2}" / f"piece{seed:02d}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(midi_bytes(piece(seed)))
    return Finished(place / "music", place / "out", build(str(place / "music"), place / "out", ShardsConfig()))


@pytest.fixture
def folder(tmp_path: Path, finished: Finished) -> Path:
    """The same twelve pieces, to change at will."""
    return Path(shutil.copytree(finished.folder, tmp_path / "music"))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[Path, Manifest]]:
    """Run a job into a fresh folder, and return that and its manifest."""

    def run(source: Path | str, **settings: Any) -> tuple[Path, Manifest]:
        out = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
        return out, build(str(source), out, ShardsConfig(**settings))

    return run
