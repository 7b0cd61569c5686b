"""Shards of synthetic performances that no other test has indexed."""

import shutil
from pathlib import Path

import pytest

from pianogen.data import ShardSet, open_shards
from pianogen.tokens import Notes, decode


@pytest.fixture
def shards(tiny_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShardSet:
    """A copy, and an empty cache of the user."""
    monkeypatch.setenv("PIANOGEN_CACHE", str(tmp_path / "user"))
    return open_shards(shutil.copytree(tiny_shards, tmp_path / "shards", ignore=shutil.ignore_patterns(".*")))


@pytest.fixture
def train(shards: ShardSet) -> list[Notes]:
    """The performances of the train split."""
    split = shards.split("train")
    return [decode(split.tokens(index)) for index in range(len(split))]
