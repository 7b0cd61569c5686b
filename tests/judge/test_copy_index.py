"""The index of the train split is built once; nothing that happens to its file changes what is found."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from kept_files import cut, in_four_processes, one_bit

from pianogen import files
from pianogen.data import ShardSet
from pianogen.judge import copy_index
from pianogen.judge.copy_index import CopyIndex
from pianogen.judge.copying import copies_of


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of all shards that are indexed anew."""
    made, build = [], copy_index._built

    def counted(train, folder):
        made.append(folder)
        return build(train, folder)

    monkeypatch.setattr(copy_index, "_built", counted)
    return made


def path(shards: ShardSet) -> Path:
    return shards.folder / ".originality" / "train.index"


def found(index: CopyIndex):
    test = index.shards.split("test")
    return copies_of([test.tokens(performance) for performance in range(len(test))], index)


def test_an_index_that_was_kept_finds_the_same(shards, builds):
    fresh, kept = CopyIndex.of(shards), CopyIndex.of(shards)
    assert len(builds) == 1
    assert found(kept) == found(fresh)


def test_numbers_are_aligned_as_built_and_as_kept(shards):
    for index in (CopyIndex.of(shards), CopyIndex.of(shards)):
        assert index._texts.flags.aligned
        assert index._suffixes.flags.aligned


def test_an_index_that_was_kept_is_mapped_and_cannot_be_written(shards):
    CopyIndex.of(shards)
    assert not CopyIndex.of(shards)._texts.flags.writeable


def test_tempo_variants_are_not_in_the_index(shards):
    variants = shards.performances.copy()
    train = variants["split"] == 0
    variants["is_variant"][train.nonzero()[0][0]] = True
    assert len(CopyIndex.of(replace(shards, performances=variants)).begins) == train.sum() - 1


@pytest.mark.parametrize("damage", [cut, one_bit, lambda data: b"\xff" * len(data), lambda data: b""])
def test_a_damaged_index_is_built_again_with_one_line(damage: Callable[[bytes], bytes], shards, builds, capsys):
    expected = found(CopyIndex.of(shards))
    data = path(shards).read_bytes()
    path(shards).unlink()  # a mapped file must not shrink
    path(shards).write_bytes(damage(data))
    assert found(CopyIndex.of(shards)) == expected
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"note: {path(shards)} is ")
    assert said[0].endswith("; indexing the train split again")
    CopyIndex.of(shards)  # the damaged file was replaced
    assert len(builds) == 2


def test_the_index_of_other_shards_is_not_used(shards, builds, capsys):
    CopyIndex.of(shards)
    CopyIndex.of(replace(shards, fingerprint="0" * 64))
    assert len(builds) == 2
    assert "is not of these shards and this version; indexing the train split again" in capsys.readouterr().err


def test_an_index_that_fits_on_no_disk_is_used_and_one_line_says_so(shards, builds, capsys, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    expected = found(CopyIndex.of(shards))
    path(shards).unlink()
    monkeypatch.setattr(files.os, "fsync", full)
    assert found(CopyIndex.of(shards)) == expected
    said = capsys.readouterr().err.splitlines()
    assert said == ["note: the index of the train split could not be kept: [Errno 28] No space left on device"]
    assert list(path(shards).parent.iterdir()) == []


def test_processes_that_build_at_once_leave_one_whole_file(shards, builds):
    in_four_processes(CopyIndex.of, shards)
    assert [file.name for file in path(shards).parent.iterdir()] == ["train.index"]
    CopyIndex.of(shards)
    assert builds == []
