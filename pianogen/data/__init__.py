"""Data loading: shards, the order of excerpts, batches."""

from pianogen.data.batches import Batch, Batches, chosen_performances, training_batches
from pianogen.data.fetching import open_shards_at
from pianogen.data.shard_set import ShardSet, Split, open_shards

__all__ = [
    "Batch",
    "Batches",
    "ShardSet",
    "Split",
    "chosen_performances",
    "open_shards",
    "open_shards_at",
    "training_batches",
]
