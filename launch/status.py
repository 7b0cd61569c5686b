"""The status of a submitted run: state and requeues of its job, last step and loss, and the last lines of its log."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from launch.job_folder import FoundJobs, JobRecord, find_jobs, read_object, reason_of
from launch.submitit_internals import RANK_0_LOGS, WATCHER
from pianogen.errors import LaunchError

LOG_LINES = 10
_TAIL_BYTES = 1 << 16
_TIMEOUT_S = 30


@dataclass(frozen=True)
class JobState:
    """The state of a job, in Slurm's terms."""

    state: str
    requeues: int = 0
    log: Path | None = None


def status(run: Path, jobs: Path) -> str:
    """Describe the newest job of a run in a few lines, submitted by `pianogen submit` or by sbatch.

    Raises:
        LaunchError: No job of the run is known, and it has not started.
    """
    found, (reported, damage) = find_jobs(jobs, run), _run_status(run)
    if found.of_target:
        folder, record = found.of_target[0]
        where, state = f"job {record.job_id} on {record.cluster}", replace(_state(record), log=_log(folder))
    elif job_id := _slurm_job(reported):
        where, state = f"job {job_id} on slurm", slurm_state(job_id)
    elif reported or damage:
        where, state = f"no job in {jobs}", JobState("no state")
    else:
        unread = "".join(f"; {line}" for line in _damaged(found))
        raise LaunchError(
            f"no job in {jobs} works on {run}, and it has not started; give the --jobs that it was submitted with"
            + unread
        )
    times = {0: "never", 1: "once"}.get(state.requeues, f"{state.requeues} times")
    return "\n".join(
        [
            str(run),
            f"{where}: {state.state}, requeued {times}",
            *_damaged(found),
            *damage,
            *_progress(run, reported),
            *_log_lines(state.log),
        ]
    )


def _damaged(found: FoundJobs) -> list[str]:
    return [f"{file} is damaged and skipped: {reason}" for file, reason in found.damaged]


def _state(record: JobRecord) -> JobState:
    return local_state(record) if record.cluster == "local" else slurm_state(record.job_id)


def slurm_state(job_id: str) -> JobState:
    """Query the controller, which has the jobs of the last minutes, and then the accounting, which has all."""
    answer, reason = _query("scontrol", "show", "job", job_id)
    if state := re.search(r"JobState=(\S+)", answer):
        restarts, log = re.search(r"Restarts=(\d+)", answer), re.search(r"StdOut=(.+)", answer)
        return JobState(state[1], int(restarts[1]) if restarts else 0, Path(log[1]) if log else None)
    answer, other_reason = _query("sacct", "-n", "-P", "-X", "-D", "-o", "State", "-j", job_id)
    if attempts := answer.splitlines():
        return JobState(attempts[-1], len(attempts) - 1)
    return JobState(f"unknown: Slurm does not answer ({reason}; {other_reason})")


def _query(*words: str) -> tuple[str, str]:
    """The output of a Slurm command, and the reason if there is none."""
    try:
        ran = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S)
    except OSError as error:
        return "", f"{words[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return "", f"{words[0]}: no answer within {_TIMEOUT_S} s"
    silent = f"exit status {ran.returncode}" if ran.returncode else f"no record of job {words[-1]}"
    reason = " ".join(ran.stderr.split()) or silent
    return ("" if ran.returncode else ran.stdout), f"{words[0]}: {reason.removeprefix(f'{words[0]}: ')}"


def local_state(record: JobRecord) -> JobState:
    """Look for the process with which submitit watches the ranks."""
    if record.host != socket.gethostname():
        return JobState(f"unknown: it was started on {record.host}")
    try:
        command = Path(f"/proc/{int(record.job_id)}/cmdline").read_bytes()
    except OSError:
        command = b""
    return JobState("RUNNING" if WATCHER in command else "ended")


def _run_status(run: Path) -> tuple[dict[str, Any], list[str]]:
    """The content of a run's status.json, and a line if it is damaged."""
    file = run / "status.json"
    try:
        return read_object(file), []
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"{file} is damaged: {reason_of(error)}"]


def _slurm_job(reported: dict[str, Any]) -> str | None:
    found = str(reported.get("slurm_job_id"))
    return found if found.isascii() and found.isdigit() else None


def _progress(run: Path, reported: dict[str, Any]) -> Iterator[str]:
    if reported:
        at = f" at step {reported['step']}" if "step" in reported else ""
        yield f"run: {reported.get('state', 'no state in status.json')}{at}"
    last: dict[str, Any] = {}
    for entry in _entries(run / "metrics.jsonl"):
        last |= entry
    if _is_number(last.get("train/loss")):
        yield ", ".join(
            f"{name} {last[metric]:{form}}"
            for metric, name, form in (
                ("step", "step", ".0f"),
                ("train/loss", "loss", ".3f"),
                ("validation/nll", "validation NLL", ".3f"),
                ("train/tokens_per_s", "tokens/s", ",.0f"),
            )
            if _is_number(last.get(metric))
        )


def _entries(file: Path) -> Iterator[dict[str, Any]]:
    for line in _tail(file):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # the first line of the tail, or the one being written
            continue
        if isinstance(entry, dict):
            yield entry


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _log(folder: Path) -> Path | None:
    return max(folder.glob(RANK_0_LOGS), key=lambda path: path.stat().st_mtime, default=None)


def _log_lines(log: Path | None) -> Sequence[str]:
    return [f"{log}:", *(f"  {line}" for line in _tail(log)[-LOG_LINES:])] if log else ["no log yet"]


def _tail(file: Path) -> list[str]:
    if not file.exists():
        return []
    with file.open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
        return stream.read().decode(errors="replace").splitlines()
