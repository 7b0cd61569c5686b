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

from launch.folder import JobRecord, records_of
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
    newest, told = next(records_of(jobs, run), None), _run_status(run)
    if newest:
        folder, record = newest
        where, state = f"job {record.job_id} on {record.cluster}", replace(_state(record), log=_log(folder))
    elif "slurm_job_id" in told:
        where, state = f"job {told['slurm_job_id']} on slurm", slurm_state(told["slurm_job_id"])
    elif told:
        where, state = f"no job in {jobs}", JobState("none to ask about")
    else:
        raise LaunchError(
            f"no job in {jobs} works on {run}, and it has not begun; --jobs names the folder that it was submitted with"
        )
    times = {0: "never", 1: "once"}.get(state.requeues, f"{state.requeues} times")
    return "\n".join(
        [str(run), f"{where}: {state.state}, requeued {times}", *_progress(run, told), *_log_lines(state.log)]
    )


def _state(record: JobRecord) -> JobState:
    return local_state(record) if record.cluster == "local" else slurm_state(record.job_id)


def slurm_state(job_id: str) -> JobState:
    """Ask the controller, which knows jobs of the last minutes, then the accounts, which know all."""
    answer = _ask("scontrol", "show", "job", job_id)
    if state := re.search(r"JobState=(\S+)", answer):
        restarts, log = re.search(r"Restarts=(\d+)", answer), re.search(r"StdOut=(.+)", answer)
        return JobState(state[1], int(restarts[1]) if restarts else 0, Path(log[1]) if log else None)
    lives = _ask("sacct", "-n", "-P", "-X", "-D", "-o", "State", "-j", job_id).splitlines()
    return JobState(lives[-1], len(lives) - 1) if lives else JobState("unknown, for Slurm does not answer")


def _ask(*words: str) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def local_state(record: JobRecord) -> JobState:
    """Look for the process that submitit left behind to watch over the ranks."""
    if record.host != socket.gethostname():
        return JobState(f"unknown, for it was started on {record.host}")
    try:
        command = Path(f"/proc/{int(record.job_id)}/cmdline").read_bytes()
    except OSError:
        command = b""
    return JobState("RUNNING" if b"submitit.local" in command else "ended")


def _run_status(run: Path) -> dict[str, Any]:
    file = run / "status.json"
    return json.loads(file.read_text()) if file.exists() else {}


def _progress(run: Path, told: dict[str, Any]) -> Iterator[str]:
    if told:
        yield f"run: {told['state']} at step {told['step']}"
    last: dict[str, Any] = {}
    for entry in _entries(run / "metrics.jsonl"):
        last |= entry
    if "train/loss" in last:
        yield ", ".join(
            f"{name} {last[metric]:{form}}"
            for metric, name, form in (
                ("step", "step", "d"),
                ("train/loss", "loss", ".3f"),
                ("validation/nll", "validation NLL", ".3f"),
                ("train/tokens_per_s", "tokens/s", ",.0f"),
            )
            if metric in last
        )


def _entries(file: Path) -> Iterator[dict[str, Any]]:
    for line in _tail(file):
        try:
            yield json.loads(line)
        except ValueError:  # the first line of the tail, or the one being written
            continue


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
