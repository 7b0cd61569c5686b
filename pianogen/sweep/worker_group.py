"""The workers of one job: a status other than 0 makes srun and torch's launcher end those that still save."""

from collections.abc import Mapping
from pathlib import Path

from pianogen.locks import FileLock


class WorkerGroup:
    """The workers that one launcher started; each holds a shared lock in the sweep's folder for as long as it works."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Join the group of the job that `environment` names; a worker without a launcher is a group of its own."""
        self._lock = None
        if int(environment.get("WORLD_SIZE", "1")) > 1:
            job = f"{environment.get('MASTER_ADDR', '')}-{environment.get('MASTER_PORT', '')}".replace("/", "-")
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / f".job-{job}"
            self._lock = FileLock(self._path, shared=True)

    def leave(self) -> bool:
        """Leave the group; returns whether this was its last worker, which of several at once exactly one is."""
        if self._lock is None:
            return True
        with self._lock:
            if is_last := self._lock.try_upgrade():
                self._path.unlink(missing_ok=True)
            return is_last
