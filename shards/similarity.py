"""Which performances are of the same music, found from the notes where no list names the composition.

Each melody (the highest note struck at each onset) is cut into overlapping runs of intervals, which do not change
under transposition; two performances are similar when they share at least half of their runs.

Reference: Broder (1997), On the resemblance and containment of documents (MinHash).
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int
from numpy.lib.stride_tricks import sliding_window_view

from pianogen.tokens.vocab import FIRST_DURATION, FIRST_NOTE, SEP

RUN_INTERVALS = 8
NUM_HASHES = 64
HASHES_PER_BAND = 2
MIN_SIMILARITY = 0.5  # share of common runs


def _constants(label: str, count: int) -> Int[np.ndarray, " K"]:
    digests = (hashlib.sha256(f"{label} {index}".encode()).digest()[:8] for index in range(count))
    return np.array([int.from_bytes(digest, "little") | 1 for digest in digests], dtype=np.uint64)


_RUN_WEIGHTS = _constants("run", RUN_INTERVALS)
_FACTORS = _constants("factor", NUM_HASHES)


def melody(ids: Int[np.ndarray, " T"]) -> Int[np.ndarray, " N"]:
    """The highest pitch struck at each onset."""
    first, second = ids[2:-1:2], ids[3:-1:2]
    is_note = (first >= FIRST_NOTE) & (first < FIRST_DURATION) & (second >= FIRST_DURATION)
    begins_group = np.concatenate([[True], first[:-1] == SEP])
    return first[is_note & begins_group].astype(np.int64) - FIRST_NOTE


def signature(ids: Int[np.ndarray, " T"]) -> tuple[int, ...] | None:
    """MinHash of the melody's runs; None for a melody that is too short."""
    intervals = np.diff(melody(ids))
    if len(intervals) < RUN_INTERVALS:
        return None
    runs = np.unique(sliding_window_view(intervals.astype(np.uint64), RUN_INTERVALS) @ _RUN_WEIGHTS)
    mixed = (runs ^ (runs >> np.uint64(31)))[None] * _FACTORS[:, None]  # (K, runs)
    return tuple(int(low) for low in (mixed >> np.uint64(32)).min(axis=1))


def groups(signatures: Sequence[tuple[int, ...] | None]) -> list[int]:
    """Label each performance with the index of the first that is similar to it, directly or through others."""
    parent = list(range(len(signatures)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for first, second in _similar_pairs(signatures):
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return [root(index) for index in range(len(signatures))]


def _similar_pairs(signatures: Sequence[tuple[int, ...] | None]) -> Iterator[tuple[int, int]]:
    """Pairs with a common band of hashes that are similar; without bands every pair would have to be compared."""
    buckets: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, hashes in enumerate(signatures):
        if hashes is None:
            continue
        for start in range(0, NUM_HASHES, HASHES_PER_BAND):
            bucket = buckets[start, *hashes[start : start + HASHES_PER_BAND]]
            for other in bucket:
                shared = sum(a == b for a, b in zip(hashes, signatures[other] or (), strict=True))
                if shared >= MIN_SIMILARITY * NUM_HASHES:
                    yield other, index
            bucket.append(index)
