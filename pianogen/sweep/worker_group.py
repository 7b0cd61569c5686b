"""The workers of one job: only the last to exit may return a status other than 0, which ends the other ranks."""

from collections.abc import Mapping
from pathlib import Path

from pianogen.locks import FileLock


class WorkerGroup:
    """The workers that one launcher started; each holds a shared lock in the sweep's folder until it leaves."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Join the group of the job in `environment`; a worker without a launcher is a group of its own."""
        self._lock = None
        if int(environment.get("WORLD_SIZE", "1")) > 1:
            job = f"{environment.get('MASTER_ADDR', '')}-{environment.get('MASTER_PORT', '')}".replace("/", "-")
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / f".job-{job}"
            self._lock = FileLock(self._path, shared=True)

    def leave(self) -> bool:
        """Leave the group; return whether this was its last worker, which is true for exactly one."""
        if self._lock is None:
            return True
        with self._lock:
            if is_last := self._lock.try_upgrade():
                self._path.unlink(missing_ok=True)
            return is_last
