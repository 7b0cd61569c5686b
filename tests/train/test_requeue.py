"""A job that was asked to stop is requeued exactly when it should be; tested against a fake scontrol."""

import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from pianogen.distributed.requeue import (
    LOCAL_REQUEUE_STATUS,
    MAX_REQUEUES,
    UNFINISHED_STATUS,
    exit_unfinished,
    requeue,
    requeue_if_slurm,
)

RUNNING = "JobState=RUNNING Reason=None Requeue=1 Restarts=0 BatchFlag=1"


class Slurm:
    """A scontrol on the PATH: it shows `job`, and records what it was asked to requeue."""

    def __init__(self, folder: Path) -> None:
        self._requeued, self._job = folder / "requeued", folder / "job"
        script = folder / "scontrol"
        script.write_text(
            "#!/bin/sh\n"
            f'if [ "$1" = requeue ]; then echo "$2" >> "{self._requeued}"; exit; fi\n'
            f'cat "{self._job}" || {{ echo "Invalid job id specified" >&2; exit 1; }}\n'
        )
        script.chmod(0o755)

    def shows(self, job: str) -> None:
        self._job.write_text(job)

    @property
    def requeued(self) -> list[str]:
        return self._requeued.read_text().split() if self._requeued.exists() else []


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    for name in ("RANK", "SLURM_PROCID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    handler = signal.getsignal(signal.SIGTERM)
    slurm = Slurm(tmp_path)
    slurm.shows(RUNNING)
    yield slurm
    signal.signal(signal.SIGTERM, handler)


def test_a_running_job_is_requeued(slurm: Slurm) -> None:
    assert (requeue_if_slurm(), slurm.requeued) == (True, ["7"])


def test_a_job_at_its_time_limit_is_requeued(slurm: Slurm) -> None:
    slurm.shows("JobState=COMPLETING Reason=TimeLimit Requeue=1 Restarts=0 BatchFlag=1")
    assert (requeue_if_slurm(), slurm.requeued) == (True, ["7"])


def test_outside_slurm_nothing_happens(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID")
    assert (requeue_if_slurm(), slurm.requeued) == (False, [])


@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID"])
def test_only_rank_0_asks(slurm: Slurm, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    assert (requeue_if_slurm(), slurm.requeued) == (False, [])


def test_a_cancelled_job_stays_cancelled(slurm: Slurm, capsys: pytest.CaptureFixture[str]) -> None:
    slurm.shows("JobState=COMPLETING Reason=None Requeue=1 Restarts=0 BatchFlag=1")
    assert (requeue_if_slurm(), slurm.requeued) == (False, [])
    assert "cancelled" in capsys.readouterr().err


def test_a_job_that_slurm_requeued_itself_is_not_requeued_twice(slurm: Slurm) -> None:
    slurm.shows("JobState=COMPLETING Reason=None Requeue=1 Restarts=1 BatchFlag=1")
    assert (requeue_if_slurm(), slurm.requeued) == (True, [])


@pytest.mark.parametrize(("flag", "reason"), [("BatchFlag", "not a batch job"), ("Requeue", "--no-requeue")])
def test_a_job_that_cannot_be_requeued_says_why(
    slurm: Slurm, capsys: pytest.CaptureFixture[str], flag: str, reason: str
) -> None:
    slurm.shows(RUNNING.replace(f"{flag}=1", f"{flag}=0"))
    assert (requeue_if_slurm(), slurm.requeued) == (False, [])
    assert reason in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("restarts", "most", "again"), [(3, 3, False), (2, 3, True), (MAX_REQUEUES, None, False)])
def test_the_number_of_requeues_is_limited(
    slurm: Slurm, monkeypatch: pytest.MonkeyPatch, restarts: int, most: int | None, again: bool
) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
    if most is not None:
        monkeypatch.setenv("PIANOGEN_MAX_REQUEUES", str(most))
    slurm.shows(RUNNING.replace("Restarts=0", f"Restarts={restarts}"))
    assert (requeue_if_slurm(), bool(slurm.requeued)) == (again, again)


def test_one_task_of_an_array_does_not_requeue_the_others(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert (requeue_if_slurm(), slurm.requeued) == (True, ["7_2"])


def test_an_scontrol_that_fails_costs_the_requeue_but_not_the_run(
    slurm: Slurm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job").unlink()
    assert requeue_if_slurm() is False
    assert "Invalid job id" in " ".join(capsys.readouterr().err.split())


def test_a_missing_scontrol_costs_the_requeue_but_not_the_run(
    slurm: Slurm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert requeue_if_slurm() is False


def test_a_sigterm_while_slurm_answers_does_no_harm(slurm: Slurm) -> None:
    requeue_if_slurm()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_submitits_local_executor_is_asked_by_exit_status(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID")
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
    with pytest.raises(SystemExit, match=str(LOCAL_REQUEUE_STATUS)):
        requeue()


def test_a_job_that_is_requeued_leaves_in_peace(slurm: Slurm) -> None:
    exit_unfinished()
    assert slurm.requeued == ["7"]


@pytest.mark.parametrize(("rank", "status"), [("0", UNFINISHED_STATUS), ("1", 0)])
def test_rank_0_alone_says_by_its_status_that_nobody_goes_on(
    slurm: Slurm, monkeypatch: pytest.MonkeyPatch, rank: str, status: int
) -> None:
    monkeypatch.setenv("RANK", rank)
    slurm.shows(RUNNING.replace("Requeue=1", "Requeue=0"))
    with pytest.raises(SystemExit, match=str(status)) if status else nullcontext():
        exit_unfinished()


def test_the_status_is_the_one_that_submitit_knows() -> None:
    from submitit.local.local import LOCAL_REQUEUE_RETURN_CODE

    assert LOCAL_REQUEUE_STATUS == LOCAL_REQUEUE_RETURN_CODE
