"""The workers of one job: a status other than 0 makes srun and torch's launcher end those that still save."""

import fcntl
from collections.abc import Mapping
from pathlib import Path


class WorkerGroup:
    """The workers that one launcher started; each holds a shared lock in the sweep's folder for as long as it works."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Join the group of the job that `environment` names; a worker without a launcher is a group of its own."""
        self._file = None
        if int(environment.get("WORLD_SIZE", "1")) > 1:
            job = f"{environment.get('MASTER_ADDR', '')}-{environment.get('MASTER_PORT', '')}".replace("/", "-")
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / f".job-{job}"
            self._file = self._path.open("a")
            fcntl.flock(self._file, fcntl.LOCK_SH)

    def leave(self) -> bool:
        """Leave the group; returns whether this was its last worker, which of several at once exactly one is."""
        if self._file is None:
            return True
        with self._file:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # releases the shared lock in any case
            except BlockingIOError:
                return False
            self._path.unlink(missing_ok=True)
            return True
