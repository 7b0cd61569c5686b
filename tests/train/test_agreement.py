"""Ranks with different settings, shards or code are refused before the first step, naming the difference."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from launching import TWO, launch

import pianogen
from pianogen.config import ShardsConfig, TrainConfig

MakeRun = Callable[..., TrainConfig]
PACKAGE = Path(pianogen.__file__).parent


# what each rank runs, with the settings and the folder of its own
RANK = """
import os, sys
from pianogen.cli import main
rank = int(os.environ["RANK"])
os.chdir({folder})
sys.exit(main(["train", *sys.argv[1:], *{words}]))
"""


def ranks(words: str = "[]", folder: str = "'.'") -> tuple[str, ...]:
    """Start two ranks with words and a folder that are expressions of `rank`."""
    return (*TWO[:-2], "--no-python", sys.executable, "-c", RANK.format(words=words, folder=folder))


# rank 1 reads and runs the code of another folder, from the first import on
OTHER_CODE = """
import os, runpy, sys
if os.environ["RANK"] == "1":
    for name in [name for name in sys.modules if name.split(".")[0] == "pianogen"]:
        del sys.modules[name]
    sys.path.insert(0, {folder!r})
    import pianogen
    assert pianogen.__file__.startswith({folder!r})
runpy.run_module("pianogen.train", run_name="__main__", alter_sys=True)
"""


def other_code(folder: Path) -> tuple[str, ...]:
    """Start two ranks, of which one has the code that is in a folder."""
    return (*TWO[:-2], "--no-python", sys.executable, "-c", OTHER_CODE.format(folder=str(folder)))


def refusal(launcher: tuple[str, ...], config: TrainConfig) -> str:
    """Train, which must fail, and return what it says."""
    ran = launch(launcher, config)
    assert ran.returncode != 0
    assert not (Path(config.out) / "metrics.jsonl").exists()
    return ran.stderr


def test_other_settings_are_refused_by_name(tiny_run: MakeRun) -> None:
    said = refusal(ranks("['--optim.lr', f'0.00{rank + 1}']"), tiny_run())
    assert "rank 1 has optim.lr = 0.002, but rank 0 has 0.001" in said


@pytest.fixture
def two_folders(tiny_shards: Path, tmp_path: Path) -> Path:
    """A folder of shards for each rank, called by its number; the same ones."""
    for rank in ("0", "1"):
        shutil.copytree(tiny_shards, tmp_path / "folders" / rank)
    return tmp_path / "folders"


def test_other_shards_under_the_same_name_are_refused(tiny_run: MakeRun, two_folders: Path) -> None:
    from shards.build import build

    shutil.rmtree(two_folders / "1")
    build(str(Path(tiny_run().shards).parent / "music"), two_folders / "1", ShardsConfig(split="random", seed=1))
    said = refusal(ranks(folder=f"{str(two_folders)!r} + f'/{{rank}}'"), replace(tiny_run(), shards="."))
    assert "rank 1 has shards = " in said


def test_the_path_of_the_shards_may_differ_between_nodes(tiny_run: MakeRun, two_folders: Path) -> None:
    ran = launch(ranks(f"['--shards', {str(two_folders)!r} + f'/{{rank}}']"), tiny_run())
    assert ran.returncode == 0, ran.stderr


def test_code_with_an_uncommitted_change_is_refused(tiny_run: MakeRun, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(PACKAGE, other / "pianogen", ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "pianogen/progress.py").open("a") as file:
        file.write("# a change\n")
    assert "rank 1 has code = " in refusal(other_code(other), tiny_run())


def test_the_path_of_the_code_may_differ_between_nodes(tiny_run: MakeRun, tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "other/pianogen", ignore=shutil.ignore_patterns("__pycache__"))
    ran = launch(other_code(tmp_path / "other"), tiny_run())
    assert ran.returncode == 0, ran.stderr
