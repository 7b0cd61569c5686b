"""A folder on object storage, through fsspec.

Credentials and servers come from the environment, as s3fs, gcsfs and aiohttp read them. Every exception becomes one
line.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pianogen.errors import PianogenError, StorageError
from pianogen.retry import retry
from pianogen.storage.address import WRITABLE, Address
from pianogen.storage.expected import Expected
from pianogen.storage.transport import UnreadableError, explain, is_final, is_local, open_transport

ATTEMPTS = 3  # over http; s3fs and gcsfs retry by themselves
PAUSE_S = 0.5  # before the second attempt; it doubles
WORKERS = 8  # simultaneous transfers: most of the time of each is waiting
OnBytes = Callable[[int], object]
T = TypeVar("T")


class Remote:
    """Reads and writes files below a URL, by their names relative to it."""

    def __init__(self, address: Address) -> None:
        """Open it, without a request to the server.

        Raises:
            StorageError: The package for its scheme is not installed.
        """
        self.address = address
        self._transport = open_transport(address.scheme)
        self._root = "/".join(address.parts) if address.scheme in WRITABLE else str(address)
        self._attempts = 1 if address.scheme in WRITABLE else ATTEMPTS
        self._is_cancelled = False

    def url(self, name: str) -> str:
        """The URL of a file."""
        return f"{self.address}/{name}"

    def read(self, name: str, at_most: int) -> bytes:
        """Read a small file.

        Raises:
            UnreadableError: The file is not found, or access is denied.
            StorageError: The server cannot be reached, or the file is larger than `at_most` bytes.
        """
        with tempfile.TemporaryDirectory(prefix="pianogen-") as folder:
            file = Path(folder) / "file"
            self._get(name, file, at_most, lambda num_bytes: None)
            return file.read_bytes()

    def read_optional(self, name: str, at_most: int) -> bytes | None:
        """Read a small file, or return None if it is not found or denied, as in a bucket without list permission."""
        try:
            return self.read(name, at_most)
        except UnreadableError:
            return None

    def get(self, file: Expected, target: Path, on_bytes: OnBytes) -> None:
        """Fetch a file to a temporary name, verify it, and rename it.

        Raises:
            StorageError: The file cannot be fetched, or differs from its manifest.
        """
        part = target.with_name(f".{target.name}.part")
        try:
            self._get(file.name, part, file.num_bytes, on_bytes)
            with part.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                file.check(stream.tell(), sha256, self.url(file.name))
                os.fsync(stream.fileno())
            part.replace(target)
        except UnreadableError as error:
            raise StorageError(f"{error}; its manifest lists it") from error
        finally:
            part.unlink(missing_ok=True)

    def _get(self, name: str, target: Path, at_most: int, on_bytes: OnBytes) -> None:
        def transfer() -> None:
            meter = self._meter(name, at_most, on_bytes)
            options = {**self._transport.get_options, "callback": meter}
            try:
                with self._explaining(name):
                    self._transport.files.get_file(f"{self._root}/{name}", str(target), **options)
            except StorageError:
                on_bytes(-meter.value)
                raise

        retry(transfer, attempts=self._attempts, pause_s=PAUSE_S, is_temporary=_is_temporary)

    def sizes(self) -> dict[str, int]:
        """List every file below the URL, with its size in bytes.

        Raises:
            StorageError: The URL cannot be listed; a plain web server cannot.
        """
        if self.address.scheme not in WRITABLE:
            raise StorageError(f"{self.address} cannot be listed: it is not a bucket")
        prefix = f"{self._root}/"
        with self._explaining(""):
            found = self._transport.files.find(self._root, detail=True)
        return {
            path.removeprefix(prefix): int(info["size"])
            for path, info in found.items()
            if path.startswith(prefix) and not path.endswith("/")
        }

    def put(self, source: Path, name: str, on_bytes: OnBytes = lambda num_bytes: None) -> None:
        """Write a file; object storage does so atomically.

        Raises:
            StorageError: The file cannot be written.
        """
        with self._explaining(name):
            meter = self._meter(name, None, on_bytes)
            self._transport.files.put_file(str(source), f"{self._root}/{name}", callback=meter)

    def write(self, name: str, data: bytes) -> None:
        """Write a small file.

        Raises:
            StorageError: The file cannot be written.
        """
        with tempfile.TemporaryDirectory(prefix="pianogen-") as folder:
            file = Path(folder) / Path(name).name
            file.write_bytes(data)
            self.put(file, name)

    @contextmanager
    def _explaining(self, name: str) -> Iterator[None]:
        try:
            yield
        except PianogenError:
            raise
        except Exception as error:  # every transport has its own exceptions
            if is_local(error):
                raise
            url = self.url(name) if name else str(self.address)
            raise explain(error, url, self.address.scheme) from error

    def each(self, action: Callable[[T], object], items: Iterable[T]) -> None:
        """Apply an action to several files at once; the first error, or Ctrl-C, cancels all."""
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                for _ in pool.map(action, items):
                    pass
            except BaseException:
                self._is_cancelled = True
                raise

    def _meter(self, name: str, at_most: int | None, on_bytes: OnBytes) -> Any:
        """The fsspec callback for progress; it raises to end a cancelled or oversized transfer."""
        from fsspec.callbacks import Callback

        def check(num_bytes: int) -> None:
            if self._is_cancelled:
                raise StorageError(f"transfer of {self.url(name)} was cancelled")
            if at_most is not None and num_bytes > at_most:
                raise StorageError(f"{self.url(name)} is larger than the limit of {at_most} bytes")

        class Meter(Callback):
            def relative_update(self, inc: int = 1) -> None:
                super().relative_update(inc)
                on_bytes(inc)
                check(self.value)

        return Meter()


def _is_temporary(error: Exception) -> bool:
    cause = error.__cause__
    return isinstance(error, StorageError) and isinstance(cause, Exception) and not is_final(cause)
