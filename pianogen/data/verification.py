"""Hashing the tars of a folder once per node: the ranks of a job share the work and the result.

CACHE/verified/NODE/HASH-OF-THE-PATH   one file per tar: its identity when it was last found to be undamaged

A rank hashes a tar that no other one is hashing, then waits for the others. A result counts for an hour, while the tar
has the same size, inode and times. Where the cache cannot be written, every rank hashes all.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from pianogen.data.shard_file import ShardFile
from pianogen.errors import StorageError
from pianogen.locks import FileLock, LockHeldError
from pianogen.storage.cache import cache_folder

_VALID_S = 3600.0
_SETTLED_S = 2.0  # a tar that was changed more recently could change again without another time of change


def verify_all(shards: Sequence[ShardFile]) -> None:
    """Compare every byte of the tars with the manifest, or find that another rank of this node has done so.

    Raises:
        ShardError: One is missing or differs.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        for shard in shards:
            shard.verify(whole=True)
        return
    for shard in [shard for shard in shards if not _verify_shared(shard, wait=False)]:
        _verify_shared(shard, wait=True)


def _verify_shared(shard: ShardFile, *, wait: bool) -> bool:
    """Verify a tar; False if another rank is doing it and this one does not wait."""
    try:
        record = _record_of(shard)
        record.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(record, wait=wait, record_holder=False)
    except LockHeldError:
        return False
    except (OSError, StorageError):
        shard.verify(whole=True)
        return True
    with lock:
        identity = _identity(shard)
        is_fresh = time.time() - record.stat().st_mtime < _VALID_S
        if not is_fresh or record.read_text() != identity:
            started = time.time()
            shard.verify(whole=True)
            if started - shard.path.stat().st_ctime > _SETTLED_S:
                record.write_text(identity)
    return True


def _record_of(shard: ShardFile) -> Path:
    name = hashlib.sha256(os.fsencode(shard.path.resolve())).hexdigest()[:32]
    return cache_folder() / "verified" / os.uname().nodename / name


def _identity(shard: ShardFile) -> str:
    status = shard.retried(shard.path.stat)
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return json.dumps([status.st_dev, status.st_ino, status.st_size, *times, shard.sha256])
