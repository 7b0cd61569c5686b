"""Where copies of remote folders lie, and how the processes of a node take turns in making them.

CACHE/s3/BUCKET/PATH   as the URL is written; CACHE is $PIANOGEN_CACHE, or else $XDG_CACHE_HOME or ~/.cache, /pianogen
CACHE/locks/
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pianogen.errors import StorageError
from pianogen.files import sha256_of, sync_folder
from pianogen.locks import FileLock, LockHeldError
from pianogen.progress import Progress, status
from pianogen.storage.address import Address
from pianogen.storage.expected import Expected
from pianogen.storage.remote import Remote


def cache_folder() -> Path:
    """The folder of everything that can be fetched again.

    Raises:
        StorageError: None is named, and this user has no home.
    """
    if own := os.environ.get("PIANOGEN_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "pianogen"
    except RuntimeError as error:  # as in a container that does not know the user's number
        raise StorageError("this user has no home to keep copies in; PIANOGEN_CACHE names a folder for them") from error


def is_copy(path: Path) -> bool:
    """Whether a folder is a copy in the cache."""
    try:
        return cache_folder().resolve() in path.resolve().parents
    except StorageError:
        return False


@contextmanager
def keep_copy(address: Address) -> Iterator[Path]:
    """Lend the folder of a URL's copy, to one process at a time; the others wait.

    Raises:
        StorageError: The cache cannot be written.
    """
    cache = cache_folder()
    folder = cache.joinpath(address.scheme, *address.parts)
    lock = cache / "locks" / hashlib.sha256(str(address).encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.parent.mkdir(exist_ok=True)
        with _waiting_lock(lock, address):
            yield folder
    except OSError as error:
        raise StorageError(
            f"cannot keep {address} in {cache}: {error.strerror or error}; PIANOGEN_CACHE names another folder"
        ) from error


def _waiting_lock(path: Path, address: Address) -> FileLock:
    try:
        return FileLock(path, wait=False)
    except LockHeldError as error:
        with status(f"waiting for process {error.holder} to fetch {address}"):
            return FileLock(path)


def fetch(remote: Remote, files: Sequence[Expected], folder: Path) -> None:
    """Bring what `folder` does not hold yet, each file whole and checked or not at all.

    Raises:
        StorageError: A file cannot be fetched, or is not what its manifest says.
    """
    missing = [file for file in files if not _is_there(folder / file.name, file)]
    if not missing:
        return
    for file in missing:
        (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
    total = sum(file.num_bytes for file in missing)
    with Progress(f"fetching {remote.address}", total=total / 1e6, unit="MB") as bar:

        def bring(file: Expected) -> None:
            remote.get(file, folder / file.name, lambda num_bytes: bar.advance(num_bytes / 1e6))

        remote.each(bring, missing)
    sync_folder(folder)


def _is_there(path: Path, file: Expected) -> bool:
    return path.is_file() and path.stat().st_size == file.num_bytes and sha256_of(path) == file.sha256
