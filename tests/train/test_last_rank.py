"""Rank 0 works alone after the last collective: by then nothing watches the other ranks, which have left."""

import shutil
from collections.abc import Callable
from pathlib import Path

from forked import run
from launching import TWO, command, environment

from pianogen.config import TrainConfig

GOLDEN = Path(__file__).parents[1] / "golden/format-2"
# prints what runs beside the main thread when rank 0 calls a function
WATCH = """
import sys
import threading

import {module} as module
from pianogen.cli import main

{setup}
work = module.{attribute}


def watched(*given):
    print("beside it:", [thread.name for thread in threading.enumerate() if "heartbeat" in thread.name])
    return work(*given)


module.{attribute} = watched
sys.exit(main(sys.argv[1:]))
"""


def beside(program: Path, module: str, attribute: str, *words: str, setup: str = "") -> list[str]:
    """Run a command on two ranks; returns what was printed whenever the function was called."""
    program.write_text(WATCH.format(module=f"pianogen.{module}", attribute=attribute, setup=setup))
    ran = run([*TWO[:-2], str(program), *words], env={**environment(), "PIANOGEN_TRACK": "on"})
    assert ran.returncode == 0, ran.stderr
    return [line for line in ran.stdout.splitlines() if line.startswith("beside it")]


def test_rank_0_may_score_baselines_for_longer_than_a_rank_may_hang(tmp_path: Path) -> None:
    old = Path(shutil.copytree(GOLDEN, tmp_path / "old"))
    words = ("evaluate", str(old / "run"), "--shards", str(old / "shards"), "--split", "test")
    assert set(beside(tmp_path / "program.py", "evaluation.job", "fit_of", *words)) == {"beside it: []"}


def test_rank_0_may_wait_for_the_mirror_for_longer_than_a_rank_may_hang(
    tmp_path: Path, tiny_run: Callable[..., TrainConfig]
) -> None:
    words = ("train", *command((), tiny_run(steps=2)))
    no_mirror = "import types; module.sys = types.SimpleNamespace(executable='true')"
    watched = beside(tmp_path / "program.py", "track.following", "_succeeded", *words, setup=no_mirror)
    assert watched == ["beside it: []"]
