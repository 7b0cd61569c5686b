"""A job folder: what was submitted, and where its logs lie.

JOBS/train-20250131-120000-x7f3/    mode 0700: submitit keeps pickles in it, which are as good as code
  job.json                          verb, arguments, cluster, job number, and the folder that the job works on
  123_0_log.out                     what rank 0 of job 123 said; later lives are appended
"""

import json
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pianogen.errors import LaunchError

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


def make_job_folder(jobs: Path, verb: str) -> Path:
    """Make a new folder that only its owner may enter.

    Raises:
        LaunchError: It cannot be made.
    """
    try:
        jobs.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=time.strftime(f"{verb}-%Y%m%d-%H%M%S-"), dir=jobs)).resolve()
    except OSError as error:
        raise LaunchError(f"cannot make a job folder in {jobs}: {error.strerror}; --jobs names another place") from None


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


def records_of(jobs: Path, target: Path) -> Iterator[tuple[Path, JobRecord]]:
    """Job folders of the jobs that work on a folder, newest first."""
    found = []
    for file in jobs.glob(f"*/{_RECORD}"):
        record = JobRecord(**json.loads(file.read_text()))
        if Path(record.target).resolve() == target.resolve():
            found.append((file.parent, record))
    return iter(sorted(found, key=lambda pair: pair[1].submitted, reverse=True))
