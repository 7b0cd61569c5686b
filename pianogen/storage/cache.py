"""Local copies of remote folders, each fetched by one process of a node at a time.

CACHE/s3/BUCKET/PATH   as in the URL; CACHE is $PIANOGEN_CACHE, or else $XDG_CACHE_HOME or ~/.cache, /pianogen
CACHE/locks/
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pianogen.errors import StorageError
from pianogen.files import fsync_path, sha256_of
from pianogen.locks import FileLock, LockHeldError
from pianogen.progress import Progress, status
from pianogen.storage.address import Address
from pianogen.storage.expected import Expected
from pianogen.storage.remote import Remote


def cache_folder() -> Path:
    """The folder of all copies.

    Raises:
        StorageError: No variable names it, and this user has no home directory.
    """
    if own := os.environ.get("PIANOGEN_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "pianogen"
    except RuntimeError as error:  # as in a container that does not know the user id
        raise StorageError("this user has no home directory for copies; set PIANOGEN_CACHE to a folder") from error


def is_copy(path: Path) -> bool:
    """Whether a folder is a copy in the cache."""
    try:
        return cache_folder().resolve() in path.resolve().parents
    except StorageError:
        return False


@contextmanager
def keep_copy(address: Address) -> Iterator[Path]:
    """The folder of a URL's copy, locked: other processes wait.

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
            f"cannot copy {address} to {cache}: {error.strerror or error}; set PIANOGEN_CACHE to another folder"
        ) from error


def _waiting_lock(path: Path, address: Address) -> FileLock:
    try:
        return FileLock(path, wait=False)
    except LockHeldError as error:
        with status(f"waiting for process {error.holder} to fetch {address}"):
            return FileLock(path)


def fetch(remote: Remote, files: Sequence[Expected], folder: Path) -> None:
    """Fetch the files that `folder` does not have; each appears complete and verified, or not at all.

    Raises:
        StorageError: A file cannot be fetched, or differs from its manifest.
    """
    missing = [file for file in files if not _is_fetched(folder / file.name, file)]
    if not missing:
        return
    for file in missing:
        (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
    total = sum(file.num_bytes for file in missing)
    with Progress(f"fetching {remote.address}", total=total / 1e6, unit="MB") as bar:

        def fetch_one(file: Expected) -> None:
            remote.get(file, folder / file.name, lambda num_bytes: bar.advance(num_bytes / 1e6))

        remote.each(fetch_one, missing)
    fsync_path(folder)


def _is_fetched(path: Path, file: Expected) -> bool:
    return path.is_file() and path.stat().st_size == file.num_bytes and sha256_of(path) == file.sha256
