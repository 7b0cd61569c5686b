"""manifest.json: what the shards of a folder hold, where it came from, and what was left out.

`pianogen shards` writes it last, and `pianogen.data` reads it. Its second line is the SHA-256 of all lines below, as
`tail -n +3 manifest.json | sha256sum` prints it. Format 1 had neither that line nor the offsets of the members.
"""

from pianogen.manifest.content import MANIFEST_NAME, Entries, damaged_manifest, encode, to_json
from pianogen.manifest.manifest import MAX_MANIFEST_BYTES, Manifest
from pianogen.manifest.members import MAX_METADATA_BYTES, damaged_shard, locate_members
from pianogen.manifest.records import SPLITS, PerformanceRecord, ShardRecord, SplitName, TokenizerRecord

__all__ = [
    "MANIFEST_NAME",
    "MAX_MANIFEST_BYTES",
    "MAX_METADATA_BYTES",
    "SPLITS",
    "Entries",
    "Manifest",
    "PerformanceRecord",
    "ShardRecord",
    "SplitName",
    "TokenizerRecord",
    "damaged_manifest",
    "damaged_shard",
    "encode",
    "locate_members",
    "to_json",
]
