"""Files that are either whole under their final name or not there."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pianogen.errors import ShardError
from pianogen.files import sync_folder
from pianogen.folders import STAGING_FOLDER


@contextmanager
def staging_directory(folder: Path) -> Iterator[Path]:
    """A fresh folder for unfinished files inside `folder`, removed at the end; only one job at a time may have it.

    Raises:
        ShardError: Another job writes here, or the disk is full or refuses.
    """
    with locked(folder):
        work = folder / STAGING_FOLDER
        remove_folder(work)  # what a killed job left
        try:
            work.mkdir()
            yield work
        except OSError as error:
            raise no_room(error, folder) from error
        finally:
            remove_folder(work)


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep a folder, which is made if it is not there, from other jobs; those that share it do so among themselves.

    Raises:
        ShardError: Another job writes here, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise no_room(error, folder) from error
    try:
        _lock(lock, folder, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)  # which also unlocks


def no_room(error: OSError, folder: Path) -> ShardError:
    """The one line for a folder that cannot be written."""
    return ShardError(
        f"cannot write to {str(folder)!r}: {error.strerror or error}; nothing half-written is left there: "
        "make room or choose another --out, and run it again"
    )


def _lock(descriptor: int, folder: Path, kind: int) -> None:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ShardError(
            f"another job is writing shards to {str(folder)!r}; wait for it or choose another --out"
        ) from error


def remove_folder(folder: Path) -> None:
    """Remove a folder of ours and all that is in it, but nothing that it links to."""
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def write_whole(path: Path, data: bytes, work: Path) -> None:
    """Put a file under its name, synced to the disk, by way of the folder for unfinished files."""
    unfinished = work / path.name
    with unfinished.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)
