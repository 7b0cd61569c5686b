"""The content of manifest.json and of index.json."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pianogen.config import ShardsConfig
from pianogen.manifest import SPLITS, Manifest, PerformanceRecord, ShardRecord, SplitName, TokenizerRecord
from pianogen.tokens import QuantisationReport, fingerprint
from pianogen.tokens.vocab import WORDS
from shards.sources import Collection
from shards.split import SplitKind
from shards.writing import Performance, Selection

INDEX_NAME = "index.json"
# how the work was done and where the inputs were: neither changes the output
_NOT_RECORDED = {"workers", "archive", "list", "version", "split", "tokenizer", "part"}


def make_manifest(
    collection: Collection,
    selection: Selection,
    shards: Sequence[ShardRecord],
    performances: Sequence[PerformanceRecord],
    config: ShardsConfig,
    split: SplitKind,
) -> Manifest:
    """All that is known about a finished job; the same for the same input and settings."""
    originals = [one for one in selection.performances if not one.is_variant]
    report = sum((QuantisationReport(**(one.reading.report or {})) for one in originals), QuantisationReport())
    settings = {name: value for name, value in asdict(config).items() if name not in _NOT_RECORDED}
    return Manifest(
        fingerprint=_fingerprint(shards, config),
        source={**collection.description, **collection.details(), "files": len(collection.sources)},
        settings={"split": split, **settings},
        tokenizer=TokenizerRecord(fingerprint(config.tokenizer), asdict(config.tokenizer), list(WORDS)),
        readers={name: version(name) for name in ("symusic", "pianogen")},
        splits={split: _totals(split, selection.performances) for split in SPLITS},
        report={"counts": asdict(report), "percent": _rounded(report.percent())},
        shards=list(shards),
        missing=list(collection.missing),
        dropped=[
            {"source": source.name, "sha256": reading.sha256, "reason": reading.reason}
            for source, reading in selection.dropped
        ],
        inconsistent_scores=sum(reading.inconsistent for _, reading in selection.dropped),
        performances=list(performances),
    )


def make_index(shards: Iterable[ShardRecord]) -> dict[str, Any]:
    """What `wids.ShardListDataset` opens: one list of all shards, whose samples say their split as `__dataset__`."""
    return {
        "wids_version": 1,
        "name": "pianogen",
        "shardlist": [
            {"url": one.name, "dataset": one.split, "nsamples": one.num_performances, "filesize": one.num_bytes}
            for one in shards
        ],
    }


def old_shards(folder: Path, new: Iterable[str]) -> list[Path]:
    """Tars of an earlier job in the folder, under names that the new job does not use."""
    return sorted(path for split in SPLITS for path in folder.glob(f"{split}-[0-9]*.tar") if path.name not in set(new))


def _fingerprint(shards: Iterable[ShardRecord], config: ShardsConfig) -> str:
    """The identity of the data set: equal means the same tokens in the same order, of the same meaning."""
    parts = [fingerprint(config.tokenizer), *(f"{shard.name} {shard.sha256}" for shard in shards)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _totals(split: SplitName, performances: Sequence[Performance]) -> dict[str, Any]:
    """Performances, notes read, and tokens with xxbos and xxeos; tempo variants are counted apart."""
    members = [one for one in performances if one.split == split]
    originals = [one for one in members if not one.is_variant]
    variants = [one for one in members if one.is_variant]
    return {
        "performances": len(originals),
        "notes": sum((one.reading.report or {})["read"] for one in originals),
        "tokens": sum(one.stream.num_tokens for one in originals),
        "seconds": round(sum(one.reading.seconds for one in originals), 3),
        "variants": {"performances": len(variants), "tokens": sum(one.stream.num_tokens for one in variants)},
    }


def _rounded(percent: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in percent.items()}
