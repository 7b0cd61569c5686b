"""File locks between processes, by flock: the kernel releases a lock when its process ends, however it ends."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self


class LockHeldError(Exception):
    """Another process holds the lock."""

    def __init__(self, path: Path, holder: str) -> None:
        self.holder = holder or "(not recorded)"
        """Its "PID on HOST"."""
        super().__init__(f"{path} is locked by process {self.holder}")


class FileLock:
    """A lock on a file or folder, held until `release`, the end of `with`, or the end of the process."""

    def __init__(
        self, path: Path, *, shared: bool = False, wait: bool = True, record_holder: bool = True, folder: bool = False
    ) -> None:
        """Acquire the lock; a file that does not exist is created, a `folder` must exist.

        An exclusive lock on a file replaces its content by "PID on HOST", unless `record_holder` is off.

        Raises:
            LockHeldError: Another process holds it and `wait` is off.
            OSError: The file cannot be opened.
        """
        flags = os.O_RDONLY | os.O_DIRECTORY if folder else os.O_RDWR | os.O_CREAT
        self._descriptor = os.open(path, flags, 0o666)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 1000, 0) if record_holder and not folder else b""
            self.release()
            raise LockHeldError(path, holder.decode(errors="replace").strip()) from error
        except BaseException:
            self.release()
            raise
        if record_holder and not shared and not folder:
            with suppress(OSError):  # a full disk must not prevent locking
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, f"{os.getpid()} on {os.uname().nodename}".encode(), 0)

    def try_upgrade(self) -> bool:
        """Replace a shared lock by an exclusive one without waiting; on failure no lock is held any more."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # releases the shared lock in any case
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()
