"""Reading of user files with a size limit."""

import os
from pathlib import Path

from pianogen.errors import SourceError


def read_limited(path: Path, max_bytes: int) -> bytes:
    """Read a whole file; one that is too large is refused before it is read.

    Raises:
        SourceError: The file cannot be read, or has more than `max_bytes` bytes.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(max_bytes + 1) if size <= max_bytes else b""
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error
    if max(size, len(data)) > max_bytes:  # a device such as /dev/zero has size 0
        raise SourceError(f"{path} has more than {max_bytes} bytes, the limit for its type")
    return data
