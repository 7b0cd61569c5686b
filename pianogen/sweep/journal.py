"""The sweep's journal: Optuna's own file, which also outlives a disk that was full."""

import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock


def open_journal(file: Path) -> JournalStorage:
    """Open the journal of all workers, and make it where there is none."""
    return JournalStorage(JournalFileBackend(str(file), _MendingLock(file)))


class _MendingLock(JournalFileSymlinkLock):
    """Cuts off half a line before its holder appends: Optuna would glue the next one to it and read neither again."""

    def __init__(self, file: Path) -> None:
        super().__init__(str(file))
        self._file = file

    def acquire(self) -> bool:
        """Wait for the lock, as every worker does before it appends."""
        acquired = super().acquire()
        try:
            _cut_half_a_line(self._file)
        except BaseException:
            self.release()
            raise
        return acquired


def _cut_half_a_line(path: Path) -> None:
    with path.open("rb+") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
