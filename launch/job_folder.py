"""A job folder: what was submitted, and where its logs lie.

JOBS/train-20250131-120000-x7f3/    mode 0700: submitit keeps pickles in it, which are as good as code
  job.json                          verb, arguments, cluster, job number, and the folder that the job works on
  123_0_log.out                     what rank 0 of job 123 said; later lives are appended
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
    """Where it was submitted; where it runs, if it is local."""
    submitted: float
    """Seconds since 1970."""


def place_of(jobs: Path) -> Path:
    """The absolute path of the folder for job folders.

    Raises:
        SettingError: It contains %, which Slurm and submitit replace in the names of logs; neither takes it escaped.
    """
    place = jobs.resolve()
    if "%" in str(place):
        raise SettingError(
            f"setting 'jobs' is {str(jobs)!r}, which is {str(place)!r}, but it must be a path without %, which Slurm "
            "would replace; --jobs names another folder"
        )
    return place


def make_job_folder(jobs: Path, verb: str) -> Path:
    """Make a new folder that only its owner may enter.

    Raises:
        SettingError: Its path contains %.
        LaunchError: It cannot be made.
    """
    place = place_of(jobs)
    try:
        place.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=time.strftime(f"{verb}-%Y%m%d-%H%M%S-"), dir=place))
    except OSError as error:
        raise LaunchError(
            f"cannot make a job folder in {jobs}: {error.strerror}; --jobs names another place"
        ) from error


def write_record(folder: Path, *, verb: str, arguments: Sequence[str], cluster: str, job_id: str, target: str) -> None:
    """Note what was submitted."""
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
    """What the job folders say of one target."""

    of_target: Sequence[tuple[Path, JobRecord]]
    """Job folders of the jobs that work on it, newest first."""
    damaged: Sequence[tuple[Path, str]]
    """Records that cannot be read, of whichever target, and why."""


def find_jobs(jobs: Path, target: Path) -> FoundJobs:
    """Look through all job folders for the jobs that work on a folder; a damaged record hides no other job."""
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
    """Why a file cannot be read, in one line and without its name."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())


def read_object(file: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        OSError, ValueError, RecursionError: It does not.
    """
    content = json.loads(file.read_text())
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    return content


def _read_record(file: Path) -> JobRecord:
    content = read_object(file)
    for name, is_right in _IS_RIGHT.items():
        if not is_right(content.get(name)):
            raise ValueError(f"its {name} is {content.get(name)!r}")
    return JobRecord(**{name: content[name] for name in _IS_RIGHT})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_IS_RIGHT: dict[str, Callable[[Any], bool]] = {
    "verb": _is_text,
    "arguments": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "cluster": _is_text,
    "job_id": lambda value: isinstance(value, str) and value.isascii() and value.isdigit(),
    "target": _is_text,
    "host": _is_text,
    "submitted": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
