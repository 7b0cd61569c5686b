"""A file to be fetched, as its manifest describes it."""

import re
from dataclasses import dataclass
from typing import Any, Self

from pianogen.errors import StorageError

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Expected:
    """Name, size and hash of a file according to its manifest."""

    name: str
    num_bytes: int
    sha256: str

    @classmethod
    def of(cls, name: str, entry: Any) -> Self:
        """Read an entry of a manifest.

        Raises:
            ValueError, TypeError, KeyError: The entry is invalid.
        """
        num_bytes, sha256 = entry["bytes"], entry["sha256"]
        if type(num_bytes) is not int or num_bytes < 0:
            raise ValueError(f"{name} has size {num_bytes!r}")
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"{name} has sha256 {sha256!r}")
        return cls(name, num_bytes, sha256)

    def check(self, num_bytes: int, sha256: str, url: str) -> None:
        """Compare a fetched file with its manifest.

        Raises:
            StorageError: They differ.
        """
        if (num_bytes, sha256) != (self.num_bytes, self.sha256):
            raise StorageError(
                f"{url} has {num_bytes} bytes with sha256 {sha256}, but its manifest says {self.num_bytes} with "
                f"{self.sha256}; upload the folder again, the manifest last"
            )
