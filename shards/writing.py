"""Drop duplicates, split, and write the shards.

One performance is two members: KEY.i16, its tokens as raw little-endian int16, and KEY.json, its metadata.
"""

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from pianogen.config import ShardsConfig
from pianogen.errors import ShardError
from pianogen.manifest import SPLITS, PerformanceRecord, ShardRecord, SplitName, locate_members
from shards.reading import Reading, SpooledTokens
from shards.sources import SourceFile
from shards.split import SplitKind, assign


@dataclass(frozen=True)
class Performance:
    """A performance, or a tempo variant of one, to be written."""

    source: SourceFile
    reading: Reading
    stream: SpooledTokens
    split: SplitName

    @property
    def is_variant(self) -> bool:
        """Whether it is a further, faster or slower, copy for training."""
        return self.stream.tempo != 1.0


@dataclass(frozen=True)
class Selection:
    """The performances in the order of the shards, and the dropped files with their reasons."""

    performances: tuple[Performance, ...]
    dropped: tuple[tuple[SourceFile, Reading], ...]


def select(sources: Sequence[SourceFile], readings: Sequence[Reading], kind: SplitKind, seed: int) -> Selection:
    """Drop unreadable files and all but the first of exact duplicates, and split the others.

    Raises:
        ShardError: No file is left, or a split is empty.
    """
    kept: list[Reading] = []
    dropped: list[Reading] = []
    first_with: dict[str, str] = {}
    for reading in readings:
        name = sources[reading.index].name
        if reading.reason is None and (first := first_with.setdefault(reading.streams[0].digest, name)) != name:
            reading = Reading(reading.index, reason=f"has the same notes as {first}", sha256=reading.sha256)
        (kept if reading.reason is None else dropped).append(reading)
    if not kept:
        raise ShardError(
            f"none of the {len(readings)} files could be used; the first, {_first_failure(sources, dropped)}"
        )
    of_kept = [sources[reading.index] for reading in kept]
    splits = assign(kind, of_kept, kept, seed)
    rows = sorted(zip(splits, of_kept, kept, strict=True), key=lambda row: (SPLITS.index(row[0]), row[2].index))
    return Selection(
        performances=tuple(
            Performance(source, reading, stream, split)
            for split, source, reading in rows
            for stream in (reading.streams if split == "train" else reading.streams[:1])
        ),
        dropped=tuple((sources[reading.index], reading) for reading in dropped),
    )


def _first_failure(sources: Sequence[SourceFile], dropped: Sequence[Reading]) -> str:
    return f"{sources[dropped[0].index].name!r}, {dropped[0].reason}" if dropped else "there is none"


def write_shards(
    performances: Sequence[Performance], spools: Path, folder: Path, config: ShardsConfig
) -> Iterator[tuple[ShardRecord, list[PerformanceRecord]]]:
    """Write the tars into `folder`, in order, a new one whenever the next performance would exceed `shard_mb`."""
    writer = load_tar_writer()
    number = 0
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        for spool in {performance.stream.spool for performance in performances}:
            files[spool] = stack.enter_context((spools / spool).open("rb"))
        for name, batch in _batches(performances, round(config.shard_mb * 1e6)):
            records = [_record(f"{number + index:09d}", name, one) for index, one in enumerate(batch)]
            number += len(batch)
            members = (_members(record.key, one, files, config) for record, one in zip(records, batch, strict=True))
            num_bytes, sha256 = _write_tar(writer, folder / name, members)
            num_tokens = sum(record.num_tokens for record in records)
            shard = ShardRecord(name, batch[0].split, len(batch), num_tokens, num_bytes, sha256)
            yield shard, locate_members(folder / name, records)


def _batches(performances: Sequence[Performance], max_bytes: int) -> Iterator[tuple[str, list[Performance]]]:
    """Group the performances into shards, and name these."""
    batch: list[Performance] = []
    used, count = 0, 0
    for performance in performances:
        size = 2 * performance.stream.num_tokens
        new_split = bool(batch) and performance.split != batch[0].split
        if batch and (new_split or used + size > max_bytes):
            yield f"{batch[0].split}-{count:06d}.tar", batch
            batch, used, count = [], 0, 0 if new_split else count + 1
        batch.append(performance)
        used += size
    if batch:
        yield f"{batch[0].split}-{count:06d}.tar", batch


def _members(key: str, performance: Performance, files: dict[str, IO[bytes]], config: ShardsConfig) -> dict[str, Any]:
    stream = performance.stream
    files[stream.spool].seek(stream.offset)
    tokens = files[stream.spool].read(2 * stream.num_tokens)
    assert len(tokens) == 2 * stream.num_tokens
    return {
        "__key__": key,
        "i16": tokens,
        "json": json.dumps(describe(performance, config), ensure_ascii=False).encode(),
    }


def _record(key: str, shard: str, performance: Performance) -> PerformanceRecord:
    source, reading, stream = performance.source, performance.reading, performance.stream
    return PerformanceRecord(
        key=key,
        shard=shard,
        split=performance.split,
        num_tokens=stream.num_tokens,
        num_notes=stream.num_notes,
        seconds=round(reading.seconds / stream.tempo, 6),
        tempo=stream.tempo,
        lowest_pitch=stream.lowest_pitch,
        highest_pitch=stream.highest_pitch,
        source=source.name,
        sha256=reading.sha256 or "",
        composer=source.composer,
        title=source.title,
    )


def describe(performance: Performance, config: ShardsConfig) -> dict[str, Any]:
    """The content of KEY.json."""
    source, reading, stream = performance.source, performance.reading, performance.stream
    return {
        "source": source.name,
        "sha256": reading.sha256,
        "split": performance.split,
        "composer": source.composer,
        "title": source.title,
        "seconds": round(reading.seconds / stream.tempo, 6),
        "num_notes": stream.num_notes,
        "num_tokens": stream.num_tokens,
        "tempo": stream.tempo,
        "time_signature": reading.time_signature,
        "steps_per_quarter": config.tokenizer.steps_per_quarter,
    }


class _Hashed:
    """A file that hashes and counts the bytes written to it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()
        self.num_bytes = 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.num_bytes += len(data)
        return self._stream.write(data)


def _write_tar(writer: ModuleType, path: Path, members: Iterator[dict[str, Any]]) -> tuple[int, str]:
    with path.open("xb") as stream:
        hashed = _Hashed(stream)
        # no time and no user: the same performances give the same bytes
        with writer.TarWriter(hashed, mtime=0, user="", group="", encoder=False) as tar:
            for pair in members:
                tar.write(pair)
        stream.flush()
        os.fsync(stream.fileno())
    return hashed.num_bytes, hashed.hash.hexdigest()


def load_tar_writer() -> ModuleType:
    """webdataset's module `writer`, without importing the package around it, which would import torch (2 seconds)."""
    name = "webdataset"
    if name in sys.modules:
        return importlib.import_module(f"{name}.writer")
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    shell = ModuleType(name)
    shell.__path__ = list(spec.submodule_search_locations)
    sys.modules[name] = shell
    try:
        return importlib.import_module(f"{name}.writer")
    finally:
        # so that a later import of webdataset imports the whole package
        for module in [one for one in sys.modules if one.split(".")[0] == name]:
            del sys.modules[module]
