"""One shard: a tar whose members are exactly those that the manifest names, found and read without extracting it.

A header other than the plain one that `pianogen shards` writes (a link, a device, a sparse or extended member, another
name or size) makes the shard damaged; the general tar readers would follow it.

Reference: POSIX.1-1988 ustar.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pianogen.errors import ShardError
from pianogen.retry import retry

BLOCK_BYTES = 512
MAX_METADATA_BYTES = 1 << 20
READ_ATTEMPTS = 3
PAUSE_S = 0.5  # before the second attempt; it doubles
_PLAIN_FILE = re.compile(
    rb"(?P<name>\d{9,20}\.(?:i16|json))\0+"
    rb"[0-7]{7}\0[0-7]{7}\0[0-7]{7}\0"  # mode, user and group
    rb"(?P<size>[0-7]{11})\0[0-7]{11}\0(?P<checksum>[0-7]{6})\0 "
    rb"0\0{100}ustar\x0000\0*(?:[0-7]{7}\0[0-7]{7}\0)?\0*"  # a regular file, no link, no user, group or path
)
_CHECKSUM = slice(148, 156)
T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """Where the two members of one performance lie, in bytes from the start of the tar."""

    tokens_offset: int
    tokens_bytes: int
    metadata_offset: int
    metadata_bytes: int


@dataclass(frozen=True)
class ShardFile:
    """A tar, and what the manifest says of it."""

    path: Path
    num_bytes: int
    sha256: str
    keys: tuple[str, ...]
    num_tokens: tuple[int, ...]

    def verify(self, *, whole: bool) -> None:
        """Compare its size, and if `whole` every byte, with the manifest.

        Raises:
            ShardError: It is missing or differs.
        """
        size = self._retried(lambda: self.path.stat().st_size)
        if size != self.num_bytes:
            raise self.damaged(f"has {size} bytes, its manifest says {self.num_bytes}")
        if whole and self._retried(self._hash) != self.sha256:
            raise self.damaged("has another sha256 than its manifest says")

    def read_tokens(self, index: int) -> bytes:
        """The tokens of its index-th performance, as raw little-endian int16."""
        sample = self._samples[index]
        return self._read(sample.tokens_offset, sample.tokens_bytes)

    def read_metadata(self, index: int) -> bytes:
        """The metadata of its index-th performance, as JSON."""
        sample = self._samples[index]
        return self._read(sample.metadata_offset, sample.metadata_bytes)

    def damaged(self, what: str) -> ShardError:
        """The error for a shard that is not what the manifest says."""
        return ShardError(
            f"shard {self.path.name} {what}; rebuild it with pianogen shards ... --out {self.path.parent}"
        )

    @cached_property
    def _samples(self) -> list[Sample]:
        return self._retried(lambda: list(self._scan()))

    def _scan(self) -> Iterator[Sample]:
        """Walk the headers, which must name the manifest's performances in order and nothing else."""
        offset = 0
        with self.path.open("rb", buffering=0) as stream:
            for key, num_tokens in zip(self.keys, self.num_tokens, strict=True):
                tokens_offset, tokens_bytes, offset = self._member(stream.fileno(), offset, f"{key}.i16")
                if tokens_bytes != 2 * num_tokens:
                    raise self.damaged(f"holds {tokens_bytes // 2} tokens in {key}.i16, its manifest says {num_tokens}")
                metadata_offset, metadata_bytes, offset = self._member(stream.fileno(), offset, f"{key}.json")
                if metadata_bytes > MAX_METADATA_BYTES:
                    raise self.damaged(f"has {metadata_bytes} bytes of metadata in {key}.json")
                yield Sample(tokens_offset, tokens_bytes, metadata_offset, metadata_bytes)
            if any(os.pread(stream.fileno(), BLOCK_BYTES, offset)):
                raise self.damaged(f"holds more than the {len(self.keys)} performances of its manifest")

    def _member(self, descriptor: int, offset: int, name: str) -> tuple[int, int, int]:
        """Offset and size of the data behind a header, and the offset of the next header."""
        header = os.pread(descriptor, BLOCK_BYTES, offset)
        found = _PLAIN_FILE.fullmatch(header)
        if found is None or int(found["checksum"], 8) != _checksum(header):
            raise self.damaged(f"has no plain member at byte {offset}, where {name} should be")
        if found["name"].decode() != name:
            raise self.damaged(f"has {found['name'].decode()} where {name} should be")
        start, size = offset + BLOCK_BYTES, int(found["size"], 8)
        if start + size > self.num_bytes:
            raise self.damaged(f"is cut short inside {name}")
        return start, size, start + -(-size // BLOCK_BYTES) * BLOCK_BYTES

    def _read(self, offset: int, size: int) -> bytes:
        def read() -> bytes:
            with self.path.open("rb", buffering=0) as stream:
                return os.pread(stream.fileno(), size, offset)

        data = self._retried(read)
        if len(data) != size:
            raise self.damaged(f"is cut short: byte {offset + size} lies behind its end")
        return data

    def _hash(self) -> str:
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def _retried(self, action: Callable[[], T]) -> T:
        """Retry an action that a network file system failed."""
        try:
            return retry(action, attempts=READ_ATTEMPTS, pause_s=PAUSE_S, is_temporary=_is_temporary)
        except OSError as error:
            raise ShardError(
                f"cannot read shard {self.path.name} in {str(self.path.parent)!r}: {error.strerror or error}"
            ) from error


def _is_temporary(error: Exception) -> bool:
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)


def _checksum(header: bytes) -> int:
    """Sum of the header's bytes, those of the checksum itself taken as spaces."""
    return sum(header) - sum(header[_CHECKSUM]) + 8 * ord(" ")
