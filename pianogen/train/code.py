"""Which code runs: a hash of the package's files, which also tells changes apart that were never committed."""

import hashlib
from pathlib import Path

import pianogen


def code_hash() -> str:
    """Hash every Python file of the package, by its path in there and its bytes."""
    package, digest = Path(pianogen.__file__).parent, hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package).as_posix()}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
