"""Shards on object storage: fetched into the cache once per node, checked by their manifest, and opened there.

CACHE/s3/BUCKET/PATH/HASH-OF-THE-MANIFEST/   shards that are uploaded again do not change those that a run reads
"""

import hashlib
from pathlib import Path

from pianogen.config import TokenizerConfig
from pianogen.data.shard_set import ShardSet, open_shards
from pianogen.errors import ShardError
from pianogen.files import write_atomic
from pianogen.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest
from pianogen.storage import Address, Expected, Remote, fetch, is_url, keep_copy


def open_shards_at(location: str, *, tokenizer: TokenizerConfig | None = None) -> ShardSet:
    """Open shards in a folder, or at a URL, which must come from the user and never from a file.

    Raises:
        ShardError: As `open_shards`.
        SettingError, StorageError: The URL cannot be used, or the shards cannot be fetched or are damaged.
    """
    if not is_url(location):
        return open_shards(location, tokenizer=tokenizer)
    folder = fetch_shards(location)
    try:
        return open_shards(folder, tokenizer=tokenizer)
    except ShardError:  # a copy may have been damaged since it was checked
        return open_shards(fetch_shards(location, again=True), tokenizer=tokenizer)


def fetch_shards(url: str, *, again: bool = False) -> Path:
    """Fetch the shards of a URL into the cache, and return the folder; an existing copy is checked only if `again`.

    Raises:
        ShardError: There is no readable manifest.
        SettingError, StorageError: See `open_shards_at`.
    """
    remote = Remote(Address.parse(url))
    data = remote.read(MANIFEST_NAME, MAX_MANIFEST_BYTES)
    shards = [Expected(shard.name, shard.num_bytes, shard.sha256) for shard in Manifest.parse(data, url).shards]
    with keep_copy(remote.address) as copies:
        folder = copies / hashlib.sha256(data).hexdigest()[:16]
        manifest = folder / MANIFEST_NAME
        if again or not manifest.exists():
            folder.mkdir(exist_ok=True)
            fetch(remote, shards, folder)
            write_atomic(manifest, data)  # last, so that a folder that has one is complete
    return folder
