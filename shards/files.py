"""Exclusive access to the output folder, and files that are complete or absent."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pianogen.errors import ShardError
from pianogen.folders import STAGING_FOLDER
from pianogen.locks import FileLock, LockHeldError


@contextmanager
def staging_directory(folder: Path) -> Iterator[Path]:
    """An empty folder for unfinished files inside `folder`, removed at the end; only one job at a time can open it.

    Raises:
        ShardError: Another job writes to `folder`, or the disk is full or refuses.
    """
    with locked(folder):
        work = folder / STAGING_FOLDER
        remove_folder(work)  # of a killed job
        try:
            work.mkdir()
            yield work
        except OSError as error:
            raise no_room(error, folder) from error
        finally:
            remove_folder(work)


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Lock a folder, which is created if needed; jobs that pass `shared` exclude only those that do not.

    Raises:
        ShardError: Another job writes to `folder`, or it cannot be created.
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
    """The error for a folder that cannot be written."""
    return ShardError(
        f"cannot write to {str(folder)!r}: {error.strerror or error}; no incomplete file is left; "
        "free space or choose another --out, and run the same command again"
    )


def remove_folder(folder: Path) -> None:
    """Remove a folder of this job and its content; symbolic links are not followed."""
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
