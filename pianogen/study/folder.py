"""A study's folder appears whole: it is made beside its place under a temporary name, and renamed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pianogen.errors import StudyError
from pianogen.files import fsync_path
from pianogen.folders import run_above, shards_above
from pianogen.locks import FileLock, LockHeldError


def refuse_place(folder: Path) -> None:
    """Refuse a place where there is something, or that belongs to a run or to shards.

    Raises:
        StudyError: It does.
    """
    if run := run_above(folder):
        raise StudyError(f"{folder} is in the run folder {run}; make the study in another folder")
    if shards := shards_above(folder):
        raise StudyError(f"{folder} is in the shards {shards}; make the study in another folder")
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if (folder / "design.json").exists():
        raise StudyError(f"{folder} holds a study already, which is never changed; name another folder")
    if folder.exists() or folder.is_symlink():
        raise StudyError(f"{folder} exists and is not an empty folder; name another one")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write to, which is moved to `folder` at the end; what an interrupted call left is removed.

    Raises:
        StudyError: The folder cannot be created, or another process is making the same study.
    """
    refuse_place(folder)
    staging = folder.parent / f".{folder.name}.building"
    try:
        staging.mkdir(parents=True, exist_ok=True)
        lock = FileLock(staging, folder=True, wait=False)
    except LockHeldError as error:
        raise StudyError(f"another process is making {folder}; wait for it, or name another folder") from error
    except OSError as error:
        raise StudyError(f"cannot create the folder {folder}: {error.strerror}; choose another") from error
    with lock:
        try:
            _empty(staging)
            yield staging
            refuse_place(folder)
            staging.rename(folder)  # replaces an empty folder
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    fsync_path(folder.parent)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
