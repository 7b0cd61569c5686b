"""manifest.json, the last file written: what the shards hold, where it came from and what was lost on the way."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pianogen.config import ShardsConfig
from pianogen.tokens import QuantisationReport, fingerprint
from pianogen.tokens.vocab import WORDS
from shards.seal import Performance, Selection, Shard
from shards.sources import SPLITS, Collection, SplitName
from shards.split import SplitKind

FORMAT = 1
MANIFEST_NAME, INDEX_NAME = "manifest.json", "index.json"
# how the work was done, or where things lay: neither changes the output
_NOT_RECORDED = {"workers", "archive", "list", "version", "split", "tokenizer", "part"}


def make_manifest(
    collection: Collection, selection: Selection, shards: Sequence[Shard], config: ShardsConfig, split: SplitKind
) -> dict[str, Any]:
    """All that is known about a finished job; the same for the same input and settings."""
    originals = [one for one in selection.performances if not one.is_variant]
    report = sum((QuantisationReport(**(one.reading.report or {})) for one in originals), QuantisationReport())
    settings = {name: value for name, value in asdict(config).items() if name not in _NOT_RECORDED}
    return {
        "format": FORMAT,
        "fingerprint": _fingerprint(shards, config),
        "source": {**collection.description, **collection.details(), "files": len(collection.sources)},
        "settings": {"split": split, **settings},
        "tokenizer": {
            "fingerprint": fingerprint(config.tokenizer),
            "settings": asdict(config.tokenizer),
            "words": list(WORDS),
        },
        "readers": {name: version(name) for name in ("symusic", "pianogen")},
        "splits": {split: _totals(split, selection.performances) for split in SPLITS},
        "report": {"counts": asdict(report), "percent": _rounded(report.percent())},
        "shards": [_shard(shard) for shard in shards],
        "missing": list(collection.missing),
        "dropped": [
            {"source": source.name, "sha256": reading.sha256, "reason": reading.reason}
            for source, reading in selection.dropped
        ],
        "inconsistent_scores": sum(reading.inconsistent for _, reading in selection.dropped),
        "performances": [
            _performance(key, shard.name, one)
            for shard in shards
            for key, one in zip(shard.keys, shard.performances, strict=True)
        ],
    }


def make_index(shards: Iterable[Shard]) -> dict[str, Any]:
    """What `wids.ShardListDataset` opens: one list of all shards, whose samples say their split as `__dataset__`."""
    return {
        "wids_version": 1,
        "name": "pianogen",
        "shardlist": [
            {"url": one.name, "dataset": one.split, "nsamples": len(one.performances), "filesize": one.num_bytes}
            for one in shards
        ],
    }


def to_json(value: dict[str, Any]) -> bytes:
    """JSON with one line for each entry of a list, so that a manifest can be read and compared."""
    entries = (f" {json.dumps(name)}: {_lines(entry)}" for name, entry in value.items())
    return ("{\n" + ",\n".join(entries) + "\n}\n").encode()


def _lines(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in value) + "\n ]"
    return json.dumps(value, ensure_ascii=False)


def old_shards(folder: Path, new: Iterable[str]) -> list[Path]:
    """Tars of an earlier job in the folder, under names that the new job does not use."""
    return sorted(path for split in SPLITS for path in folder.glob(f"{split}-[0-9]*.tar") if path.name not in set(new))


def _fingerprint(shards: Iterable[Shard], config: ShardsConfig) -> str:
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


def _shard(shard: Shard) -> dict[str, Any]:
    return {
        "name": shard.name,
        "split": shard.split,
        "performances": len(shard.performances),
        "tokens": sum(one.stream.num_tokens for one in shard.performances),
        "bytes": shard.num_bytes,
        "sha256": shard.sha256,
    }


def _performance(key: str, shard: str, performance: Performance) -> dict[str, Any]:
    source, reading, stream = performance.source, performance.reading, performance.stream
    return {
        "key": key,
        "shard": shard,
        "split": performance.split,
        "tokens": stream.num_tokens,
        "notes": stream.num_notes,
        "seconds": round(reading.seconds / stream.tempo, 6),
        "tempo": stream.tempo,
        "lowest_pitch": stream.lowest_pitch,
        "highest_pitch": stream.highest_pitch,
        "source": source.name,
        "sha256": reading.sha256,
        "composer": source.composer,
        "title": source.title,
    }
