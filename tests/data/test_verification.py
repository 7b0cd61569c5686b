"""The ranks of a node hash each shard once together, and never trust a shard that has changed since."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from pianogen.data import open_shards, verification
from pianogen.data.shard_file import ShardFile
from pianogen.errors import ShardError

RANKS = 4


@pytest.fixture
def hashed(monkeypatch, tmp_path) -> list[str]:
    """The names of the shards that the ranks of a job hash."""
    names: list[str] = []
    plain_hash = ShardFile._hash

    def counted(shard: ShardFile) -> str:
        names.append(shard.path.name)
        return plain_hash(shard)

    monkeypatch.setattr(ShardFile, "_hash", counted)
    monkeypatch.setattr(verification, "_SETTLED_S", -1.0)
    monkeypatch.setenv("PIANOGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WORLD_SIZE", str(RANKS))
    return names


def test_ranks_that_open_shards_at_once_hash_each_once(folder, hashed):
    with ThreadPoolExecutor(RANKS) as ranks:
        opened = list(ranks.map(open_shards, [folder] * RANKS))
    assert sorted(hashed) == sorted(shard.path.name for shard in opened[0].shards)


def test_a_shard_that_changes_after_it_was_verified_is_hashed_again(folder, hashed):
    name = open_shards(folder).shards[0].path.name
    data = bytearray((folder / name).read_bytes())
    data[600] ^= 1
    (folder / name).write_bytes(data)
    os.utime(folder / name, ns=(0, 0))  # within the resolution of its times it could be the same
    with pytest.raises(ShardError, match=f"shard {name} has another sha256"):
        open_shards(folder)


def test_a_result_expires(folder, hashed, monkeypatch):
    shards = open_shards(folder).shards
    monkeypatch.setattr(verification, "_VALID_S", 0.0)
    open_shards(folder)
    assert len(hashed) == 2 * len(shards)


def test_every_rank_hashes_all_where_the_cache_cannot_be_written(folder, hashed, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PIANOGEN_CACHE", str(tmp_path / "file"))
    open_shards(folder)
    shards = open_shards(folder).shards
    assert len(hashed) == 2 * len(shards)


def test_a_process_alone_hashes_all(folder, hashed, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE")
    open_shards(folder)
    shards = open_shards(folder).shards
    assert len(hashed) == 2 * len(shards)
