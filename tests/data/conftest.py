"""Shards to read, and copies of them to damage."""

import shutil
from pathlib import Path

import pytest
from small_shards import NUM_PIECES, piece

from pianogen.config import ShardsConfig
from pianogen.tokens import midi_bytes
from shards.build import build


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    """Shards of ten pieces and a tempo variant of each in train, a few to a shard."""
    place = tmp_path_factory.mktemp("shards")
    (place / "music").mkdir()
    for seed in range(NUM_PIECES):
        (place / "music" / f"{seed}.mid").write_bytes(midi_bytes(piece(seed)))
    config = ShardsConfig(split="random", shard_mb=0.002, tempo_variants=(0.9,))
    build(str(place / "music"), place / "out", config)
    return place / "out"


@pytest.fixture
def folder(pristine, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(pristine, tmp_path / "shards"))
