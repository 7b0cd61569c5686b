"""A job folder: the record of what was submitted, and its logs.

JOBS/train-20250131-120000-x7f3/    mode 0700: submitit keeps pickles in it, which can execute code
  job.json                          verb, arguments, cluster, job number, and the folder that the job works on
  123_0_log.out                     output of rank 0 of job 123; a requeued job appends to it
"""

import json
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pianogen.errors import LaunchError, SettingError

_RECORD = "job.json"


@dataclass(frozen=True)
class JobRecord:
    """One submitted job."""

    verb: str
    arguments: Sequence[str]
    cluster: str
    job_id: str
    target: str
    """The folder that the job works on, such as the run folder; an absolute path."""
    host: str
    """The machine that it was submitted from, on which a local job runs."""
    submitted: float
    """Seconds since 1970."""


def absolute_path(jobs: Path) -> Path:
    """The absolute path of the folder for job folders.

    Raises:
        SettingError: It contains %, which Slurm and submitit replace in the names of logs, without a way to escape it.
    """
    path = jobs.resolve()
    if "%" in str(path):
        raise SettingError(
            f"setting 'jobs' is {str(jobs)!r}, which is {str(path)!r}, but it must be a path without %, which Slurm "
            "would replace; choose another folder with --jobs"
        )
    return path


def make_job_folder(jobs: Path, verb: str) -> Path:
    """Create a new folder that only its owner can access.

    Raises:
        SettingError: Its path contains %.
        LaunchError: It cannot be created.
    """
    parent = absolute_path(jobs)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=time.strftime(f"{verb}-%Y%m%d-%H%M%S-"), dir=parent))
    except OSError as error:
        raise LaunchError(
            f"cannot create a job folder in {jobs}: {error.strerror}; choose another folder with --jobs"
        ) from error


def write_record(folder: Path, *, verb: str, arguments: Sequence[str], cluster: str, job_id: str, target: str) -> None:
    """Write job.json."""
    record = JobRecord(
        verb,
        list(arguments),
        cluster,
        job_id,
        str(Path(target).resolve()),
        socket.gethostname(),
        time.time(),
    )
    (folder / _RECORD).write_text(json.dumps(asdict(record), indent=2) + "\n")


@dataclass(frozen=True)
class FoundJobs:
    """The records of the jobs of one target."""

    of_target: Sequence[tuple[Path, JobRecord]]
    """Job folders and records of its jobs, newest first."""
    damaged: Sequence[tuple[Path, str]]
    """Records of any target that cannot be read, and the reasons."""


def find_jobs(jobs: Path, target: Path) -> FoundJobs:
    """Find the jobs that work on a folder; damaged records are skipped and listed."""
    found: list[tuple[Path, JobRecord]] = []
    damaged: list[tuple[Path, str]] = []
    for file in sorted(jobs.glob(f"*/{_RECORD}")):
        try:
            record = _read_record(file)
            is_target = Path(record.target).resolve() == target.resolve()
        except (OSError, ValueError, RecursionError) as error:
            damaged.append((file, reason_of(error)))
            continue
        if is_target:
            found.append((file.parent, record))
    return FoundJobs(sorted(found, key=lambda pair: pair[1].submitted, reverse=True), damaged)


def reason_of(error: Exception) -> str:
    """The reason why a file cannot be read, in one line without the file's name."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())


def read_object(file: Path) -> dict[str, Any]:
    """Read a file that contains one JSON object.

    Raises:
        OSError: The file cannot be read.
        ValueError, RecursionError: Its content is not a JSON object.
    """
    content = json.loads(file.read_text())
    if not isinstance(content, dict):
        raise ValueError("it does not contain a JSON object")
    return content


def _read_record(file: Path) -> JobRecord:
    content = read_object(file)
    for name, is_valid in _IS_VALID.items():
        if not is_valid(content.get(name)):
            raise ValueError(f"its {name} is {content.get(name)!r}")
    return JobRecord(**{name: content[name] for name in _IS_VALID})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_IS_VALID: dict[str, Callable[[Any], bool]] = {
    "verb": _is_text,
    "arguments": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "cluster": _is_text,
    "job_id": lambda value: isinstance(value, str) and value.isascii() and value.isdigit(),
    "target": _is_text,
    "host": _is_text,
    "submitted": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
