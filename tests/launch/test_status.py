"""What `pianogen submit status RUN` says, from a job folder, a run folder and a Slurm that answers from files."""

import json
from pathlib import Path

import pytest

from launch.job_folder import make_job_folder, write_record
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


def test_a_job_that_the_controller_has_forgotten_is_in_the_accounting(slurm: Path, job: Path, run: Path) -> None:
    (slurm / "sacct.txt").write_text("PREEMPTED\nCOMPLETED\n")
    assert "job 7 on slurm: COMPLETED, requeued once" in status(run, job.parent)


def test_the_reasons_are_shown_when_slurm_does_not_answer(slurm: Path, job: Path, run: Path) -> None:
    (slurm / "scontrol").write_text("#!/bin/sh\necho 'scontrol: error: Unable to contact slurm controller' >&2; exit 1")
    (slurm / "sacct.txt").touch()
    reasons = "(scontrol: error: Unable to contact slurm controller; sacct: no record of job 7)"
    assert f"job 7 on slurm: unknown: Slurm does not answer {reasons}" in status(run, job.parent)


def test_a_slurm_command_that_hangs_is_named(
    slurm: Path, job: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.status._TIMEOUT_S", 0.2)
    (slurm / "scontrol").write_text("#!/bin/sh\nexec sleep 60")
    assert "(scontrol: no answer within 0.2 s; sacct: exit status 1)" in status(run, job.parent)


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


def test_a_run_without_a_job_shows_its_last_step(slurm: Path, run: Path, tmp_path: Path) -> None:
    assert "run: running at step 2" in status(run, tmp_path / "jobs")


def test_a_job_that_waits_has_no_run_yet(slurm: Path, job: Path, run: Path) -> None:
    for file in run.iterdir():
        file.unlink()
    (slurm / "scontrol.txt").write_text("   JobState=PENDING\n   Restarts=0\n")
    assert "job 7 on slurm: PENDING" in status(run, job.parent)


def test_an_unknown_run_is_an_error(slurm: Path, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="give the --jobs"):
        status(tmp_path / "nothing", tmp_path / "jobs")


def test_a_record_can_be_read_by_people(job: Path) -> None:
    assert json.loads((job / "job.json").read_text())["job_id"] == "7"


GOOD = {
    "verb": "train",
    "arguments": [],
    "cluster": "slurm",
    "job_id": "8",
    "target": "x",
    "host": "h",
    "submitted": 1.0,
}
DAMAGED = ["", "{", "[]", "null", "7", "{}", '{"verb": "train"}', "[" * 20_000, '"text"']
WRONG = [
    *({**GOOD, name: value} for name in GOOD for value in (None, [1], {})),
    *({key: value for key, value in GOOD.items() if key != name} for name in GOOD),
    *({**GOOD, "job_id": value} for value in ("", "--help", "7\u0000", "x")),
    {**GOOD, "target": "a\u0000b"},
]


@pytest.mark.parametrize("text", [*DAMAGED, *map(json.dumps, WRONG)], ids=range(len(DAMAGED) + len(WRONG)))
def test_a_damaged_record_of_any_job_is_named_and_hides_no_other(slurm: Path, job: Path, run: Path, text: str) -> None:
    other = make_job_folder(job.parent, "train")
    (other / "job.json").write_text(text)
    shown = status(run, job.parent)
    assert f"{other / 'job.json'} is damaged and skipped: " in shown
    assert "job 7 on slurm" in shown


def test_the_reason_why_a_record_cannot_be_read_is_shown(slurm: Path, job: Path, run: Path) -> None:
    (job.parent / "other/job.json").mkdir(parents=True)
    assert f"{job.parent}/other/job.json is damaged and skipped: Is a directory\n" in status(run, job.parent)


def test_a_record_of_a_later_version_may_have_more_entries(slurm: Path, job: Path, run: Path) -> None:
    record = json.loads((job / "job.json").read_text())
    (job / "job.json").write_text(json.dumps({**record, "new": 1}))
    assert "job 7 on slurm" in status(run, job.parent)


def test_a_damaged_record_is_named_when_no_job_is_found(slurm: Path, job: Path, tmp_path: Path) -> None:
    (job / "job.json").write_text("")
    with pytest.raises(LaunchError, match=r"give the --jobs.*job\.json is damaged and skipped: Expecting value"):
        status(tmp_path / "nothing", job.parent)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 20_000], ids=range(5))
@pytest.mark.parametrize("has_job", [True, False])
def test_a_damaged_status_is_named_and_the_rest_is_shown(
    slurm: Path, job: Path, run: Path, tmp_path: Path, text: str, has_job: bool
) -> None:
    (run / "status.json").write_text(text)
    shown = status(run, job.parent if has_job else tmp_path / "none")
    assert f"{run / 'status.json'} is damaged: " in shown
    assert "step 2, loss 4.250" in shown


@pytest.mark.parametrize("text", ["{}", '{"state": "running"}', '{"step": 3}', '{"state": [], "slurm_job_id": {}}'])
def test_a_status_without_some_of_its_entries_is_shown(slurm: Path, run: Path, tmp_path: Path, text: str) -> None:
    if text == "{}":
        (run / "metrics.jsonl").write_text('{"step": "x", "train/loss": null}\n[]\n7\n' + METRICS)
    (run / "status.json").write_text(text)
    shown = status(run, tmp_path / "jobs") if text != "{}" else status(run, job_of(run))
    assert "step 2, loss 4.250" in shown


def job_of(run: Path) -> Path:
    """The folder of jobs with one for that run."""
    folder = make_job_folder(run.parent / "jobs", "train")
    write_record(folder, verb="train", arguments=[], cluster="slurm", job_id="7", target=str(run))
    return folder.parent


def test_a_missing_slurm_is_reported(job: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Slurm does not answer (scontrol: No such file or directory; sacct: No such file or directory)" in status(
        run, job.parent
    )
