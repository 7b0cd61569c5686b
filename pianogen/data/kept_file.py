"""Files of what was computed from shards, kept beside them, so that only the first use has to compute it.

SHARDS/.FOLDER/NAME               where the folder can be written
CACHE/FOLDER/FINGERPRINT/NAME     elsewhere; for CACHE see `pianogen.storage.cache_folder`

A file is one line, the identity of what was computed and the SHA-256 of what follows, then that. Two processes that
write at once write the same bytes.
"""

import hashlib
import json
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pianogen.data.shard_set import ShardSet, Split
from pianogen.errors import StorageError
from pianogen.files import write_atomic
from pianogen.progress import console
from pianogen.storage import cache_folder

HEADER_BYTES = 64 + 1 + 64 + 1  # two hashes in hexadecimal


@dataclass(frozen=True)
class KeptFile:
    """One such file, whether it exists or not."""

    shards: ShardSet
    folder: str
    name: str
    identity: str
    """Hash of all that the content depends on, see `identity_of`."""
    content: str
    """What it holds, as in "the fit of the baselines could not be kept"."""
    again: str
    """What has to be done if it is unusable, as in "fitting the baselines again"."""

    def read(self) -> memoryview | None:
        """The content, mapped into memory, or None; an unusable file is named on the console."""
        for path in self._paths():
            if (data := _mapped(path)) is None:
                continue
            header, body = bytes(data[:HEADER_BYTES]), data[HEADER_BYTES:]
            if header == self._header(body):
                return body
            mine = header.startswith(self.identity.encode())
            why = "damaged" if mine else "not of these shards and this version"
            console.print(f"[yellow]note:[/] {path} is {why}; {self.again}", soft_wrap=True)
        return None

    def keep(self, body: bytes) -> None:
        """Write the content to the first place that can be written; if there is none, say so."""
        reason: OSError | str = "there is no folder for it"
        for path in self._paths():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, self._header(body) + body)
            except OSError as error:
                reason = error
            else:
                return
        console.print(f"[yellow]note:[/] {self.content} could not be kept: {reason}", soft_wrap=True)

    def _paths(self) -> Iterator[Path]:
        """Where the file may be, the preferred place first."""
        yield self.shards.folder / f".{self.folder}" / self.name
        try:
            yield cache_folder() / self.folder / self.shards.fingerprint[:32] / self.name
        except StorageError:  # this user has no home directory
            return

    def _header(self, body: bytes | memoryview) -> bytes:
        return f"{self.identity} {hashlib.sha256(body).hexdigest()}\n".encode()


def identity_of(version: int, shards: ShardSet, splits: Sequence[Split], *parts: Any) -> str:
    """A hash of the version of what is computed, the splits that it is computed from, and what else it depends on."""
    lengths = [hashlib.sha256(split.lengths.astype("<i8").tobytes()).hexdigest() for split in splits]
    return hashlib.sha256(json.dumps([version, shards.fingerprint, *lengths, *parts]).encode()).hexdigest()


def _mapped(path: Path) -> memoryview | None:
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except ValueError:  # an empty file cannot be mapped
        return memoryview(b"")
    except OSError:
        return None
