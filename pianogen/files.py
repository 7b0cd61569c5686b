"""Atomic writes: a file is written under a temporary name, synced and renamed."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def write_atomic(path: Path, data: bytes | str, *, staging: Path | None = None, mode: int = 0o666) -> None:
    """Write a file so that a crash at any instant leaves the old one or the new one.

    It is written in the folder `staging` of the same file system, by default beside its final path, and renamed. It has
    the permissions `mode` from its beginning, less those that the process's umask takes away.
    """
    temporary = (staging or path.parent) / f".{path.name}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_path(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=2, sort_keys=False) + "\n")


def fsync_path(path: Path) -> None:
    """Flush a file's content, or the renames in a folder, to disk, so that they survive a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Hash a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
