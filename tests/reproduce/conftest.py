"""A plan carried out once, and copies of it."""

import os
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from planned import Reproduction, plan_of


@pytest.fixture(scope="session")
def music(tiny_shards: Path) -> Path:
    """The MIDI files of the tiny shards."""
    return tiny_shards.parent / "music"


@pytest.fixture(scope="session")
def quiet(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    """A plan that was carried out without interruption."""
    done = Reproduction(tmp_path_factory.mktemp("quiet"), plan_of(music))
    before, os.environ["PIANOGEN_TRACK"] = os.environ.get("PIANOGEN_TRACK"), "off"
    try:
        assert not done.run()
    finally:
        os.environ.pop("PIANOGEN_TRACK")
        if before is not None:
            os.environ["PIANOGEN_TRACK"] = before
    return done


@pytest.fixture
def fresh(music: Path, tmp_path: Path) -> Reproduction:
    """A plan of which nothing is done."""
    return Reproduction(tmp_path / "fresh", plan_of(music))


@pytest.fixture
def copy(quiet: Reproduction, tmp_path: Path) -> Callable[..., Reproduction]:
    """Copy the finished plan's results, without the runs."""

    def make(*names: str) -> Reproduction:
        copied = Reproduction(tmp_path / "copy", deepcopy(quiet.plan))
        copied.results.mkdir()
        for name in names or [path.stem for path in quiet.results.glob("*.npz")]:
            for suffix in ("json", "npz"):
                shutil.copy(quiet.results / f"{name}.{suffix}", copied.results)
        return copied

    return make
