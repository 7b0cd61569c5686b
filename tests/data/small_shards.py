"""Small shards, and changes of their manifest."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pianogen.manifest import encode, to_json
from pianogen.tokens import Notes

NUM_PIECES = 10


def piece(seed: int) -> Notes:
    """A melody of its own for each seed."""
    random = np.random.default_rng(seed)
    onset = np.cumsum(random.integers(1, 5, 30 + seed))
    return Notes(onset, random.integers(1, 9, len(onset)), random.integers(30, 100, len(onset)))


def edit_manifest(folder: Path, change: Callable[[dict], object]) -> None:
    """Change the manifest in place, with the hash that belongs to it."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest.pop("sha256", None)
    change(manifest)
    path.write_bytes(to_json(manifest) if manifest.get("format") == 1 else encode(manifest))


def to_format_1(folder: Path) -> None:
    """Write the manifest as it was before it had offsets and a hash."""

    def change(manifest: dict) -> None:
        manifest["format"] = 1
        for performance in manifest["performances"]:
            for name in ("tokens_offset", "metadata_offset", "metadata_bytes"):
                del performance[name]

    edit_manifest(folder, change)
