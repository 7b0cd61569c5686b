"""Data loading: shards, the order of excerpts, batches."""

from pianogen.data.batches import Batch, Batches, chosen_performances, training_batches
from pianogen.data.fetching import open_shards_at
from pianogen.data.kept_file import KeptFile, identity_of
from pianogen.data.shard_set import ShardSet, Split, open_shards

__all__ = [
    "Batch",
    "Batches",
    "KeptFile",
    "ShardSet",
    "Split",
    "chosen_performances",
    "identity_of",
    "open_shards",
    "open_shards_at",
    "training_batches",
]
