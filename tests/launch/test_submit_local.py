"""`pianogen submit` without a cluster: what it would submit, what it refuses, and a job on this machine."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import LIMIT_S
from submitting import ROOT, submit

from launch.status import status
from pianogen.errors import LaunchError, SettingError

TRAIN = ("train", "--shards", "s", "--out", "runs/a run")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and a stand-in that runs in place of pianogen in jobs."""
    (tmp_path / "stand_in/pianogen").mkdir(parents=True)
    (tmp_path / "stand_in/pianogen/__init__.py").touch()
    shutil.copy(ROOT / "tests/cluster/stand_in.py", tmp_path / "stand_in/pianogen/__main__.py")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand_in"))
    folder = tmp_path / "some where"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_submitting_imports_no_torch() -> None:
    script = (
        "import sys; sys.path.insert(0, 'tests/launch'); from submitting import submit\n"
        f"submit('--dry_run', *{TRAIN!r})\n"
        "print([name for name in ('torch', 'accelerate', 'mlflow', 'music21') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_dry_run_shows_the_batch_file_and_leaves_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    submit("--dry_run", "--nodes", "2", "--tasks_per_node", "4", "--partition", "gpu", *TRAIN)
    lines = capsys.readouterr().out.splitlines()
    wanted = {"#SBATCH --nodes=2", "#SBATCH --ntasks-per-node=4", "#SBATCH --partition=gpu", "#SBATCH --requeue"}
    assert wanted <= set(lines)
    assert "# pianogen train --shards s --out 'runs/a run'" in lines
    assert list(here.iterdir()) == []


def test_gpus_are_asked_for_only_when_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    submit("--dry_run", *TRAIN)
    submit("--dry_run", "--gpus_per_node", "4", *TRAIN)
    assert re.findall(r"--gpus-per-node=\d", capsys.readouterr().out) == ["--gpus-per-node=4"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "--shards", "s", "--out", "r", "--optim.lrr", "1"), "did you mean 'optim.lr'"),
        (("train", "--out", "r"), "train needs --shards DIR and --out FOLDER"),
        (("train", "--shards", "s", "--out", "r", "--global_batch", "0"), "'global_batch' is 0"),
        (
            ("demo",),
            "'demo' cannot be submitted; choose from train, shards, generate, evaluate, sweep, reproduce; or status",
        ),
        (("status",), "status takes one run folder"),
        (("--nods", "2", *TRAIN), "did you mean 'nodes'"),
        (("--array", "2", *TRAIN), "only shards, generate, sweep, reproduce can be divided"),
    ],
)
def test_a_mistake_is_found_before_anything_is_submitted(here: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(SettingError, match=re.escape(message)):
        submit(*words)
    assert list(here.iterdir()) == []


def test_without_slurm_the_message_names_the_way_out(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LaunchError, match="--cluster local runs the job on this machine"):
        submit(*TRAIN)


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def submit_in_its_own_process(*words: str, **variables: str) -> str:
    """As a user does; in a test's own process Python would complain of the watcher that is left behind."""
    folder = Path(__file__).parent
    script = f"import sys; sys.path.insert(0, {str(folder)!r}); from submitting import submit; submit(*sys.argv[1:])"
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {script}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S, env=environment)
    return done.stdout


@pytest.fixture
def seen(here: Path) -> Path:
    return here / "seen"


def test_a_local_job_runs_the_same_ranks(here: Path, seen: Path) -> None:
    submit_in_its_own_process("--cluster", "local", "--tasks_per_node", "2", *TRAIN)
    until(lambda: len(list(seen.glob("left-*.json"))) == 2)
    calls = [json.loads((seen / f"0-0-{rank}.json").read_text()) for rank in (0, 1)]
    assert [(c["RANK"], c["WORLD_SIZE"], c["MASTER_ADDR"]) for c in calls] == [
        ("0", "2", "127.0.0.1"),
        ("1", "2", "127.0.0.1"),
    ]
    assert calls[0]["arguments"] == list(TRAIN)


def test_a_job_folder_is_for_its_owner_only(here: Path, seen: Path) -> None:
    submit_in_its_own_process("--cluster", "local", *TRAIN)
    until(lambda: (seen / "left-0-0-0.json").exists())
    (folder,) = (here / "jobs").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_job_that_requests_a_requeue_is_started_again(here: Path, seen: Path) -> None:
    submit_in_its_own_process("--cluster", "local", *TRAIN, STAND_IN="request a requeue")
    until(lambda: (seen / "attempts.json").exists() and json.loads((seen / "attempts.json").read_text()) == 2)


def test_status_follows_a_local_job(here: Path, seen: Path) -> None:
    submit_in_its_own_process("--cluster", "local", *TRAIN, STAND_IN="wait for USR2")
    until(lambda: (seen / "waiting-0.json").exists())
    run = Path("runs/a run")
    assert "on local: RUNNING, requeued never" in status(run, Path("jobs"))
    os.kill(json.loads((seen / "waiting-0.json").read_text()), signal.SIGUSR2)
    until(lambda: "on local: ended" in status(run, Path("jobs")))
