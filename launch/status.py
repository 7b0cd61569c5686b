"""How a submitted run goes: its job's state and requeues, its last step and loss, and the last lines of its log."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from launch.folder import FoundJobs, JobRecord, find_jobs, read_object, reason_of
from pianogen.errors import LaunchError

LOG_LINES = 10
_TAIL_BYTES = 1 << 16
_SECONDS = 30


@dataclass(frozen=True)
class JobState:
    """Where a job stands, in Slurm's words."""

    state: str
    requeues: int = 0
    log: Path | None = None


def status(run: Path, jobs: Path) -> str:
    """Describe the newest job of a run in a few lines, whether it was submitted from here or by sbatch.

    Raises:
        LaunchError: No job of it is known, and it has not begun.
    """
    found, (told, damage) = find_jobs(jobs, run), _run_status(run)
    if found.of_target:
        folder, record = found.of_target[0]
        where, state = f"job {record.job_id} on {record.cluster}", replace(_state(record), log=_log(folder))
    elif job_id := _slurm_job(told):
        where, state = f"job {job_id} on slurm", slurm_state(job_id)
    elif told or damage:
        where, state = f"no job in {jobs}", JobState("none to ask about")
    else:
        unread = "".join(f"; {line}" for line in _damaged(found))
        raise LaunchError(
            f"no job in {jobs} works on {run}, and it has not begun; --jobs names the folder that it was submitted with"
            + unread
        )
    times = {0: "never", 1: "once"}.get(state.requeues, f"{state.requeues} times")
    return "\n".join(
        [
            str(run),
            f"{where}: {state.state}, requeued {times}",
            *_damaged(found),
            *damage,
            *_progress(run, told),
            *_log_lines(state.log),
        ]
    )


def _damaged(found: FoundJobs) -> list[str]:
    return [f"{file} is damaged and left out: {reason}" for file, reason in found.damaged]


def _state(record: JobRecord) -> JobState:
    return local_state(record) if record.cluster == "local" else slurm_state(record.job_id)


def slurm_state(job_id: str) -> JobState:
    """Ask the controller, which knows jobs of the last minutes, then the accounts, which know all."""
    answer, _ = _ask("scontrol", "show", "job", job_id)
    if state := re.search(r"JobState=(\S+)", answer):
        restarts, log = re.search(r"Restarts=(\d+)", answer), re.search(r"StdOut=(.+)", answer)
        return JobState(state[1], int(restarts[1]) if restarts else 0, Path(log[1]) if log else None)
    answer, reason = _ask("sacct", "-n", "-P", "-X", "-D", "-o", "State", "-j", job_id)
    lives = answer.splitlines()
    return JobState(lives[-1], len(lives) - 1) if lives else JobState(f"unknown, for Slurm does not answer{reason}")


def _ask(*words: str) -> tuple[str, str]:
    """What Slurm answers, and why it does not."""
    try:
        ran = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=True)
    except OSError as error:
        return "", f" ({words[0]}: {error.strerror})"
    except subprocess.SubprocessError:
        return "", ""
    return ran.stdout, ""


def local_state(record: JobRecord) -> JobState:
    """Look for the process that submitit left behind to watch over the ranks."""
    if record.host != socket.gethostname():
        return JobState(f"unknown, for it was started on {record.host}")
    try:
        command = Path(f"/proc/{int(record.job_id)}/cmdline").read_bytes()
    except OSError:
        command = b""
    return JobState("RUNNING" if b"submitit.local" in command else "ended")


def _run_status(run: Path) -> tuple[dict[str, Any], list[str]]:
    """What a run says of itself, and a line on what is wrong with that."""
    file = run / "status.json"
    try:
        return read_object(file), []
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"{file} is damaged: {reason_of(error)}"]


def _slurm_job(told: dict[str, Any]) -> str | None:
    found = str(told.get("slurm_job_id"))
    return found if found.isascii() and found.isdigit() else None


def _progress(run: Path, told: dict[str, Any]) -> Iterator[str]:
    if told:
        at = f" at step {told['step']}" if "step" in told else ""
        yield f"run: {told.get('state', 'in a state that status.json does not name')}{at}"
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
    return max(folder.glob("*_0_log.out"), key=lambda path: path.stat().st_mtime, default=None)


def _log_lines(log: Path | None) -> Sequence[str]:
    return [f"{log}:", *(f"  {line}" for line in _tail(log)[-LOG_LINES:])] if log else ["no log yet"]


def _tail(file: Path) -> list[str]:
    if not file.exists():
        return []
    with file.open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
        return stream.read().decode(errors="replace").splitlines()
