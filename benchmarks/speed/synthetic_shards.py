"""Shards of random performances as long as MAESTRO's, quickly written."""

import hashlib
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from pianogen.config import TokenizerConfig
from pianogen.manifest import (
    MANIFEST_NAME,
    Manifest,
    PerformanceRecord,
    ShardRecord,
    TokenizerRecord,
    locate_members,
)
from pianogen.tokens.vocab import BOS, EOS, FIRST_DURATION, FIRST_NOTE, PAD, SEP, WORDS, fingerprint

MAESTRO_LENGTHS = (457, 34_160)  # tokens of its shortest training performance; and so that the mean is its 17,308
_PER_SHARD = 500


def random_performance(random: np.random.Generator) -> Int16[np.ndarray, " T"]:
    """Single notes, each followed by a wait."""
    count = int(random.integers(*MAESTRO_LENGTHS)) // 4
    notes = FIRST_NOTE + 60 + np.cumsum(random.integers(-2, 3, count)) % 24
    lengths, waits = (FIRST_DURATION + random.integers(1, 17, count) for _ in range(2))
    body = np.stack([notes, lengths, np.full(count, SEP), waits], axis=1).ravel()
    return np.concatenate([[BOS, PAD], body[:-2], [EOS]]).astype(np.int16)


def record(index: int, num_tokens: int) -> PerformanceRecord:
    """A training performance whose members are not located."""
    return PerformanceRecord(
        key=f"{index:09d}",
        shard=f"train-{index // _PER_SHARD:06d}.tar",
        split="train",
        num_tokens=num_tokens,
        num_notes=num_tokens // 4,
        seconds=500.0,
        tempo=1.0,
        lowest_pitch=60,
        highest_pitch=83,
        source=f"2004/MIDI-Unprocessed_{index:09d}_MID--AUDIO_wav--1.midi",
        sha256=f"{index:064x}",
        composer="Johann Sebastian Bach",
        title=f"Prelude and Fugue No. {index}",
    )


def manifest_of(shards: list[ShardRecord], performances: list[PerformanceRecord]) -> Manifest:
    """A manifest of one split."""
    tokenizer = TokenizerConfig()
    return Manifest(
        fingerprint="0" * 64,
        source={},
        settings={},
        tokenizer=TokenizerRecord(fingerprint(tokenizer), vars(tokenizer), list(WORDS)),
        readers={},
        splits={},
        report={},
        shards=shards,
        missing=[],
        dropped=[],
        inconsistent_scores=0,
        performances=performances,
    )


def write_shards(folder: Path, num_performances: int) -> None:
    """Write a folder that `pianogen.data.open_shards` opens; it has 2 bytes per token."""
    random = np.random.Generator(np.random.Philox(0))
    shards, performances = [], []
    for first in range(0, num_performances, _PER_SHARD):
        indices = range(first, min(first + _PER_SHARD, num_performances))
        tokens = [random_performance(random) for _ in indices]
        records = [record(index, len(ids)) for index, ids in zip(indices, tokens, strict=True)]
        path = folder / records[0].shard
        _write_tar(path, records, tokens)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        shards.append(ShardRecord(path.name, "train", len(records), sum(map(len, tokens)), size, sha256))
        performances.extend(locate_members(path, records))
    (folder / MANIFEST_NAME).write_bytes(manifest_of(shards, performances).to_bytes())


def _write_tar(path: Path, records: Sequence[PerformanceRecord], tokens: Sequence[Int16[np.ndarray, " T"]]) -> None:
    with tarfile.open(path, "w") as tar:
        for one, ids in zip(records, tokens, strict=True):
            for name, data in ((f"{one.key}.i16", ids.astype("<i2").tobytes()), (f"{one.key}.json", b"{}")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
