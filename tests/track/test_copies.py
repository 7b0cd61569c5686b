"""A run folder is one run in MLflow wherever it is moved to, and whoever is killed; a copy of it is another."""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forked import MIRROR
from forked import run as start
from mirrored import all_of, log, state_of, steps, there

from pianogen import track

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.filterwarnings("ignore"),  # mlflow and sqlalchemy deprecate parts of each other as they load
]
# dies at the worst moment: the run exists in the store, but the folder has not recorded its id
_KILLED_AFTER_CREATING = """
import os, signal, sys
from pathlib import Path
from mlflow import MlflowClient
from pianogen import track

create = MlflowClient.create_run
MlflowClient.create_run = lambda *given, **named: (create(*given, **named), os.kill(os.getpid(), signal.SIGKILL))
track.sync(Path(sys.argv[1]))
"""


def test_a_mirror_killed_after_creating_the_run_creates_no_second(
    client: "MlflowClient", run: Path, store: str
) -> None:
    command = [sys.executable, "-c", _KILLED_AFTER_CREATING, str(run)]
    killed = start(command, env={**os.environ, "MLFLOW_TRACKING_URI": store}, modules=MIRROR)
    assert (killed.returncode, state_of(run)["run_id"], len(all_of(client, run))) == (-signal.SIGKILL, "", 1)
    track.sync(run)
    (one,) = all_of(client, run)
    assert one.info.run_id == state_of(run)["run_id"]
    assert steps(client, run, "train/loss") == [1, 2, 3, 4, 5, 6]


def test_a_run_that_was_moved_is_the_same_run_under_its_new_name(client: "MlflowClient", run: Path) -> None:
    track.sync(run)
    before = state_of(run)["run_id"]
    moved = run.rename(run.with_name("better name"))
    track.sync(moved)
    found = there(client, moved)
    assert found.info.run_id == before
    assert (found.info.run_name, found.data.tags["folder"]) == ("better name", str(moved))
    assert steps(client, moved, "train/loss") == [1, 2, 3, 4, 5, 6]


def test_a_moved_run_whose_old_path_is_reused_is_the_same_run(client: "MlflowClient", run: Path, trained: Path) -> None:
    track.sync(run)
    before = state_of(run)["run_id"]
    old = run.rename(run.with_name("old"))
    shutil.copytree(trained, run)
    track.sync(run)
    track.sync(old)
    assert state_of(old)["run_id"] == before != state_of(run)["run_id"]


def test_a_copy_that_is_resumed_is_another_run_and_leaves_the_first_as_it_is(client: "MlflowClient", run: Path) -> None:
    track.sync(run)
    copy = Path(shutil.copytree(run, run.with_name("copy")))
    log(run, 7, **{"train/loss": 1.0})
    log(copy, 7, **{"train/loss": 2.0})
    log(copy, 8, **{"train/loss": 3.0})
    track.sync(copy)
    track.sync(run)
    assert state_of(copy)["run_id"] != state_of(run)["run_id"]
    assert (steps(client, run, "train/loss"), steps(client, copy, "train/loss")) == (
        [1, 2, 3, 4, 5, 6, 7],
        [1, 2, 3, 4, 5, 6, 7, 8],
    )


def test_a_copy_stays_one_run_whichever_of_the_two_is_mirrored_first(client: "MlflowClient", run: Path) -> None:
    track.sync(run)
    copy = Path(shutil.copytree(run, run.with_name("copy")))
    for folder in (copy, run, copy, run):
        track.sync(folder)
    assert state_of(copy)["run_id"] != state_of(run)["run_id"]
    assert [len(all_of(client, folder)) for folder in (copy, run)] == [1, 1]


def test_a_copy_whose_first_was_removed_is_the_run_that_was_moved(client: "MlflowClient", run: Path) -> None:
    track.sync(run)
    copy = Path(shutil.copytree(run, run.with_name("copy")))
    shutil.rmtree(run)
    before = state_of(copy)["run_id"]
    track.sync(copy)
    assert state_of(copy)["run_id"] == before


def test_a_link_to_a_run_is_no_copy(client: "MlflowClient", run: Path) -> None:
    track.sync(run)
    before = state_of(run)["run_id"]
    moved = run.rename(run.with_name("archive"))
    run.symlink_to(moved)
    track.sync(run)
    track.sync(moved)
    assert state_of(moved)["run_id"] == before


def test_runs_that_were_moved_with_their_store_are_the_same_runs(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    directory = run.parent / "runs"
    directory.mkdir()
    track.sync(run.rename(directory / "run"))
    moved = directory.rename(directory.with_name("moved runs")) / "run"
    before = state_of(moved)["run_id"]
    track.sync(moved)
    assert state_of(moved)["run_id"] == before
    assert len(all_of(MlflowClient(tracking_uri=state_of(moved)["uri"]), moved)) == 1
