"""Files that are either whole under their final name or not there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pianogen.errors import ShardError
from pianogen.folders import WORK_FOLDER
from pianogen.locks import FileLock, LockHeldError


@contextmanager
def workshop(folder: Path) -> Iterator[Path]:
    """A fresh folder for unfinished files inside `folder`, removed at the end; only one job at a time may have it.

    Raises:
        ShardError: Another job writes here, or the disk is full or refuses.
    """
    with locked(folder):
        work = folder / WORK_FOLDER
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
        lock = FileLock(folder, shared=shared, wait=False, folder=True)
    except LockHeldError as error:
        raise ShardError(
            f"another job is writing shards to {str(folder)!r}; wait for it or choose another --out"
        ) from error
    except OSError as error:
        raise no_room(error, folder) from error
    with lock:
        yield


def no_room(error: OSError, folder: Path) -> ShardError:
    """The one line for a folder that cannot be written."""
    return ShardError(
        f"cannot write to {str(folder)!r}: {error.strerror or error}; nothing half-written is left there: "
        "make room or choose another --out, and run it again"
    )


def remove_folder(folder: Path) -> None:
    """Remove a folder of ours and all that is in it, but nothing that it links to."""
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
