"""Assignment of the performances to train, validation and test.

`random` and `composition` give a tenth of the performances each to validation and test. They hash names, so the result
does not depend on the order of the files, and few of them move when some are added.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pianogen.errors import SettingError, ShardError
from pianogen.manifest import SPLITS, SplitName
from shards.reading import Reading
from shards.similarity import groups
from shards.sources import SourceFile

HELD_OUT = 0.1  # share of the performances that validation and test get each
SplitKind = Literal["official", "random", "composition", "csv"]


def assign(kind: SplitKind, sources: Sequence[SourceFile], readings: Sequence[Reading], seed: int) -> list[SplitName]:
    """The split of each performance; `sources` and `readings` are parallel and have no two with the same notes.

    Raises:
        SettingError: A split is not given for a file.
        ShardError: A split would be empty.
    """
    if kind in ("official", "csv"):
        chosen: list[SplitName] = [_given(source, kind) for source in sources]
    elif kind == "random":
        chosen = _draw([source.name for source in sources], seed)
    else:
        chosen = _draw(_compositions(sources, readings), seed)
    if empty := [split for split in SPLITS if split not in chosen]:
        raise ShardError(
            f"split {empty[0]} would be empty: {len(chosen)} performances cannot be divided by {kind}; "
            "add files, or choose another --split"
        )
    return chosen


def _given(source: SourceFile, kind: SplitKind) -> SplitName:
    if source.split is None:
        raise SettingError(
            f"setting 'split' is {kind!r}, but no split is given for {source.name!r}; give a --list that does"
        )
    return source.split


def _compositions(sources: Sequence[SourceFile], readings: Sequence[Reading]) -> list[str]:
    """A name for each performance's composition: composer and title where known, else from the content."""
    labels = groups([reading.signature for reading in readings])
    names = (sources[first].name for first in labels)
    return [source.composition or f"content of {name}" for source, name in zip(sources, names, strict=True)]


def _draw(keys: Sequence[str], seed: int) -> list[SplitName]:
    """Fill test, then validation, up to their share with whole groups of equal keys, in the order of their hashes."""
    sizes: Mapping[str, int] = _count(keys)
    share = max(1, round(HELD_OUT * len(keys)))
    room: dict[SplitName, int] = {"test": share, "validation": share, "train": len(keys)}
    split_of: dict[str, SplitName] = {}
    for key in sorted(sizes, key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest()):
        split: SplitName = next(split for split, left in room.items() if sizes[key] <= left)
        split_of[key] = split
        room[split] -= sizes[key]
    for split in ("test", "validation"):
        in_train = [key for key in split_of if split_of[key] == "train"]
        if in_train and split not in split_of.values():  # every composition has more performances than the share
            split_of[min(in_train, key=lambda key: sizes[key])] = split
    return [split_of[key] for key in keys]


def _count(keys: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for key in keys:
        counts[key] += 1
    return counts
