"""Where each performance is in the shards: 38 bytes per performance. P performances."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from pianogen.data.shard_file import ShardFile
from pianogen.manifest import (
    MAX_METADATA_BYTES,
    SPLITS,
    Entries,
    Manifest,
    PerformanceRecord,
    ShardRecord,
    damaged_manifest,
    locate_members,
)

_MEMBERS = np.dtype(
    [
        ("split", np.int8),  # index in SPLITS
        ("shard", np.int32),  # index in the shards
        ("key", np.int64),  # name of its members
        ("num_tokens", np.int32),
        ("is_variant", np.bool_),
        ("tokens_offset", np.int64),  # in bytes from the start of the tar
        ("metadata_offset", np.int64),
        ("metadata_bytes", np.int32),
    ]
)
_COUNTS = ("num_tokens", "tokens_offset", "metadata_offset", "metadata_bytes")
_SPLIT_NUMBERS: dict[Any, int] = {name: number for number, name in enumerate(SPLITS)}
_MAX_INT32 = np.iinfo(np.int32).max
_MAX_COUNT = 1 << 60  # larger ones are refused as this one is; the sum of three of them fits into 64 bits


def members_of(manifest: Manifest, shards: Sequence[ShardFile], folder: str) -> Shaped[np.ndarray, " P"]:
    """All performances, in the order of the shards and within them in that of the manifest.

    Raises:
        ShardError: The manifest contradicts itself, or in format 1 a shard differs from it.
    """
    assert isinstance(manifest.performances, Entries)
    try:
        numbers = {shard.name: number for number, shard in enumerate(manifest.shards)}
        members = np.empty(0, _MEMBERS)
        for entries in manifest.performances.chunks():
            table = _table(entries, numbers)
            members.resize(len(members) + len(table), refcheck=False)  # grows in place
            members[-len(table) :] = table
        if (np.diff(members["shard"]) < 0).any():
            members = members[np.argsort(members["shard"], kind="stable")]
        ends = np.searchsorted(members["shard"], np.arange(len(manifest.shards) + 1))
        of_shards = [members[begin:end] for begin, end in pairwise(ends.tolist())]
        for held, shard in zip(of_shards, manifest.shards, strict=True):
            _check(held, shard, located=manifest.format > 1)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged_manifest(folder, str(error)) from error
    if manifest.format == 1:
        _locate(of_shards, manifest, shards)
    return members


def _table(entries: Sequence[Mapping[str, Any]], shards: Mapping[str, int]) -> Shaped[np.ndarray, " P"]:
    """The entries of a manifest; a whole column is checked faster than each record."""
    columns = PerformanceRecord.columns(entries)
    if not PerformanceRecord.are_valid(columns):
        for entry in entries:
            PerformanceRecord.from_file(entry)  # says what is wrong
    counts = {name: _int64(columns[name]) for name in _COUNTS}
    too_large = np.maximum(counts["num_tokens"], counts["metadata_bytes"]) > _MAX_INT32
    if too_large.any():
        first = int(np.argmax(too_large))
        raise ValueError(f"offsets of {columns['key'][first]} in {columns['shard'][first]}")
    table = np.empty(len(entries), _MEMBERS)
    table["split"] = [_SPLIT_NUMBERS.get(name, -1) for name in columns["split"]]
    table["shard"] = [shards[name] for name in columns["shard"]]
    table["key"] = list(map(int, columns["key"]))
    table["is_variant"] = np.array(columns["tempo"]) != 1
    for name, values in counts.items():
        table[name] = values
    return table


def _int64(values: Sequence[int]) -> Int[np.ndarray, " P"]:
    try:
        return np.minimum(np.array(values, np.int64), _MAX_COUNT)
    except OverflowError:
        return np.array([min(value, _MAX_COUNT) for value in values], np.int64)


def _check(members: Shaped[np.ndarray, " P"], shard: ShardRecord, *, located: bool) -> None:
    num_listed = int((members["split"] == SPLITS.index(shard.split)).sum())
    if not num_listed == len(members) == shard.num_performances:
        raise ValueError(
            f"it lists {num_listed} performances of {shard.split} in {shard.name}, which holds {shard.num_performances}"
        )
    if not located:
        return
    ends_of_tokens = members["tokens_offset"] + 2 * members["num_tokens"].astype(np.int64)
    ends = members["metadata_offset"] + members["metadata_bytes"]
    in_order = members["tokens_offset"] >= np.concatenate([[0], ends[:-1]])
    in_order &= ends_of_tokens <= members["metadata_offset"]
    in_order &= ends <= min(shard.num_bytes, _MAX_COUNT)
    in_order &= members["metadata_bytes"] <= MAX_METADATA_BYTES
    if not in_order.all():
        raise ValueError(f"offsets of {members['key'][np.argmin(in_order)]:09d} in {shard.name}")


def _locate(of_shards: Sequence[Shaped[np.ndarray, " P"]], manifest: Manifest, shards: Sequence[ShardFile]) -> None:
    """Find the members by reading the headers of each tar, as a manifest of format 1 does not say where they are."""
    held: dict[str, list[PerformanceRecord]] = {shard.name: [] for shard in manifest.shards}
    for one in manifest.performances:
        held[one.shard].append(one)
    for members, shard, records in zip(of_shards, shards, held.values(), strict=True):
        located = shard.retried(partial(locate_members, shard.path, records))
        for name in ("tokens_offset", "metadata_offset", "metadata_bytes"):
            members[name] = [getattr(one, name) for one in located]
