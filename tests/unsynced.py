"""Writing without waiting for the disk: no test loses power, and a tiny run syncs some fifty times.

What must be synced, and when, is tested in `test_synced_writes.py`.
"""

import os


def check_descriptor(descriptor: int) -> None:
    """Do what `os.fsync` does, but for the disk: a closed file is an error still."""
    os.fstat(descriptor)


os.fsync = check_descriptor
