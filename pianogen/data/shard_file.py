"""One shard: a tar whose members are read by their offsets, without extracting it."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pianogen.errors import ShardError
from pianogen.manifest import damaged_shard
from pianogen.retry import retry

READ_ATTEMPTS = 3
PAUSE_S = 0.5  # before the second attempt; it doubles
T = TypeVar("T")


@dataclass(frozen=True)
class ShardFile:
    """A tar, and what the manifest says of it."""

    path: Path
    num_bytes: int
    sha256: str

    def verify(self, *, whole: bool) -> None:
        """Compare its size, and if `whole` every byte, with the manifest.

        Raises:
            ShardError: It is missing or differs.
        """
        size = self.retried(lambda: self.path.stat().st_size)
        if size != self.num_bytes:
            raise self.damaged(f"has {size} bytes, its manifest says {self.num_bytes}")
        if whole and self.retried(self._hash) != self.sha256:
            raise self.damaged("has another sha256 than its manifest says")

    def read(self, offset: int, size: int) -> bytes:
        """Read some bytes of it.

        Raises:
            ShardError: They cannot be read, or it ends before them.
        """

        def read() -> bytes:
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                return os.pread(descriptor, size, offset)
            finally:
                os.close(descriptor)

        data = self.retried(read)
        if len(data) != size:
            raise self.damaged(f"is cut short: it ends before byte {offset + size}")
        return data

    def damaged(self, what: str) -> ShardError:
        """The error for a shard that is not what the manifest says."""
        return damaged_shard(self.path, what)

    def _hash(self) -> str:
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def retried(self, action: Callable[[], T]) -> T:
        """Repeat an action a few times, as network file systems can fail briefly.

        Raises:
            ShardError: It fails each time.
        """
        try:
            return retry(action, attempts=READ_ATTEMPTS, pause_s=PAUSE_S, is_temporary=_is_temporary)
        except OSError as error:
            raise ShardError(
                f"cannot read shard {self.path.name} in {str(self.path.parent)!r}: {error.strerror or error}"
            ) from error


def _is_temporary(error: Exception) -> bool:
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
