"""What `pianogen submit status RUN` says, from a job folder, a run folder and a Slurm that answers from files."""

import json
from pathlib import Path

import pytest

from launch.folder import make_job_folder, write_record
from launch.status import status
from pianogen.errors import LaunchError

METRICS = (
    '{"step": 1, "train/loss": 5.0}\n'
    '{"step": 2, "train/loss": 4.25, "train/tokens_per_s": 12345.6}\n'
    '{"step": 2, "validation/nll": 4.5}\n'
    '{"step": 3, "train/lo'
)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an scontrol and an sacct that print the files of their names plus .txt, or fail without one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("scontrol", "sacct"):
        (folder / name).write_text(f'#!/bin/sh\ncat "{folder}/{name}.txt" 2>/dev/null\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder in the middle of its training."""
    run = tmp_path / "runs/attn"
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text(METRICS)
    (run / "status.json").write_text('{"state": "running", "step": 2}')
    return run


@pytest.fixture
def job(tmp_path: Path, run: Path) -> Path:
    """The folder of job 7, which was submitted for that run."""
    folder = make_job_folder(tmp_path / "jobs", "train")
    write_record(folder, verb="train", arguments=["--out", "x"], cluster="slurm", job_id="7", target=str(run))
    (folder / "7_0_log.out").write_text("".join(f"line {number}\n" for number in range(100)))
    return folder


def test_state_and_requeues_come_from_the_controller(slurm: Path, job: Path, run: Path) -> None:
    (slurm / "scontrol.txt").write_text("   JobState=RUNNING Reason=None\n   Requeue=1 Restarts=2 BatchFlag=1\n")
    assert "job 7 on slurm: RUNNING, requeued 2 times" in status(run, job.parent)


def test_when_the_controller_has_forgotten_the_accounts_know(slurm: Path, job: Path, run: Path) -> None:
    (slurm / "sacct.txt").write_text("PREEMPTED\nCOMPLETED\n")
    assert "job 7 on slurm: COMPLETED, requeued once" in status(run, job.parent)


def test_a_slurm_that_does_not_answer_is_said_to(slurm: Path, job: Path, run: Path) -> None:
    assert "Slurm does not answer" in status(run, job.parent)


def test_the_last_whole_line_of_the_metrics_is_shown(slurm: Path, job: Path, run: Path) -> None:
    assert "step 2, loss 4.250, validation NLL 4.500, tokens/s 12,346" in status(run, job.parent)


def test_the_last_lines_of_the_log_are_shown(slurm: Path, job: Path, run: Path) -> None:
    lines = status(run, job.parent).splitlines()
    assert lines[-11:] == [f"{job / '7_0_log.out'}:", *(f"  line {number}" for number in range(90, 100))]


def test_a_run_is_found_by_any_name_of_its_folder(
    slurm: Path, job: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    assert "job 7" in status(Path("../attn"), job.parent)


def test_the_newest_job_of_a_run_counts(slurm: Path, job: Path, run: Path) -> None:
    later = make_job_folder(job.parent, "train")
    write_record(later, verb="train", arguments=[], cluster="slurm", job_id="8", target=str(run))
    assert "job 8" in status(run, job.parent)


def test_a_job_of_sbatch_is_found_through_the_run(slurm: Path, run: Path, tmp_path: Path) -> None:
    (run / "status.json").write_text('{"state": "running", "step": 2, "slurm_job_id": "9"}')
    (tmp_path / "train.log").write_text("hello\n")
    (slurm / "scontrol.txt").write_text(f"   JobState=RUNNING\n Restarts=0\n   StdOut={tmp_path}/train.log\n")
    text = status(run, tmp_path / "jobs")
    assert "job 9 on slurm: RUNNING, requeued never" in text
    assert text.endswith(f"{tmp_path}/train.log:\n  hello")


def test_a_run_without_a_job_still_shows_how_far_it_is(slurm: Path, run: Path, tmp_path: Path) -> None:
    assert "run: running at step 2" in status(run, tmp_path / "jobs")


def test_a_job_that_waits_has_no_run_yet(slurm: Path, job: Path, run: Path) -> None:
    for file in run.iterdir():
        file.unlink()
    (slurm / "scontrol.txt").write_text("   JobState=PENDING\n   Restarts=0\n")
    assert "job 7 on slurm: PENDING" in status(run, job.parent)


def test_an_unknown_run_is_an_error(slurm: Path, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="--jobs names the folder"):
        status(tmp_path / "nothing", tmp_path / "jobs")


def test_a_record_can_be_read_by_people(job: Path) -> None:
    assert json.loads((job / "job.json").read_text())["job_id"] == "7"
