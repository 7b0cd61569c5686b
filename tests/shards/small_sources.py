"""Made-up pieces, and what tests ask of a finished job."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pianogen.manifest import Manifest
from pianogen.tokens import Notes


def piece(seed: int, length: int = 60) -> Notes:
    """A melody that differs from those of other seeds."""
    random = np.random.default_rng(seed)
    onset = np.cumsum(random.integers(1, 5, length))
    return Notes(onset=onset, duration=random.integers(1, 9, length), pitch=random.integers(30, 100, length))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reasons(manifest: Manifest) -> dict[str, str]:
    """Why each dropped file was dropped."""
    return {one["source"]: one["reason"] for one in manifest.dropped}


def splits_of(manifest: Manifest) -> dict[str, str]:
    """The split of each performance."""
    return {one.source: one.split for one in manifest.performances}


@dataclass(frozen=True)
class Finished:
    """A job that is done."""

    folder: Path  # of the sources
    out: Path
    manifest: Manifest
