"""The version of the running code: a hash of the package's files, which uncommitted changes alter too."""

import hashlib
from pathlib import Path

import pianogen


def code_hash() -> str:
    """Hash every Python and C file of the package, by its relative path and its bytes."""
    package, digest = Path(pianogen.__file__).parent, hashlib.sha256()
    for file in sorted(file for suffix in ("py", "c", "h") for file in package.rglob(f"*.{suffix}")):
        digest.update(f"{file.relative_to(package).as_posix()}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
