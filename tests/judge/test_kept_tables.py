"""The measures of real music are computed once for the same pieces, windows and seed, and again for others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pianogen.config import JudgeConfig
from pianogen.data import ShardSet
from pianogen.judge.features import Tables, tables
from pianogen.judge.kept_tables import kept_tables
from pianogen.judge.piece_sets import PieceSet
from pianogen.judge.references import references

CONFIG = JudgeConfig("the shards", windows_s=[5.0, 10.0], workers=1)


class Measuring:
    """`kept_tables` that counts how often it had to measure."""

    def __init__(self, shards: ShardSet) -> None:
        self.shards, self.times = shards, 0

    def __call__(self, one: PieceSet, config: JudgeConfig = CONFIG) -> Tables:
        def make() -> Tables:
            self.times += 1
            return tables([named.piece for named in one.pieces], config.windows_s, 1, lambda count: None)

        return kept_tables(self.shards, one, config, make)


@pytest.fixture
def measuring(shards: ShardSet) -> Measuring:
    return Measuring(shards)


def sets(shards: ShardSet) -> tuple[PieceSet, PieceSet, PieceSet]:
    found = references(replace(CONFIG, reference=str(shards.folder)))
    return found.reference, found.floor, found.noise


def files(shards: ShardSet) -> list[Path]:
    return sorted((shards.folder / ".judge").iterdir())


def test_tables_that_were_kept_are_those_that_were_made(shards, measuring):
    for one in sets(shards):
        made, kept = measuring(one), measuring(one)
        assert list(kept) == list(made) == ["5 s", "10 s", "whole"]
        for name, table in made.items():
            assert kept[name].num_pieces == table.num_pieces
            np.testing.assert_array_equal(kept[name].piece, table.piece)
            np.testing.assert_array_equal(kept[name].values, table.values)
    assert measuring.times == 3


@pytest.mark.parametrize(("limit", "role"), [("references.MAX_FLOOR_PIECES", 1), ("piece_sets.MAX_NOISE_PIECES", 2)])
def test_another_number_of_pieces_is_measured_anew(limit, role, shards, measuring, monkeypatch):
    many = measuring(sets(shards)[role])
    monkeypatch.setattr(f"pianogen.judge.{limit}", 1)
    few = measuring(sets(shards)[role])
    assert measuring.times == 2
    assert few["whole"].num_pieces == 1 < many["whole"].num_pieces


@pytest.mark.parametrize("changes", [{"seed": 1}, {"windows_s": [5.0]}, {"first_seconds": 60.0}])
def test_settings_that_are_used_in_turn_have_a_file_each(changes, shards, measuring, capsys):
    reference, other = sets(shards)[0], replace(CONFIG, **changes)
    for config in (CONFIG, other, CONFIG, other):
        measuring(reference, config)
    assert measuring.times == len(files(shards)) == 2
    assert capsys.readouterr().err == ""


def test_a_damaged_file_is_replaced_with_one_line(shards, measuring, capsys):
    reference = sets(shards)[0]
    measuring(reference)
    (file,) = files(shards)
    data = file.read_bytes()
    file.unlink()  # a mapped file must not shrink
    file.write_bytes(data[: len(data) // 2])
    capsys.readouterr()
    measuring(reference)
    assert capsys.readouterr().err == f"note: {file} is damaged; measuring real: test again\n"
    measuring(reference)
    assert measuring.times == 2
    assert file.read_bytes() == data  # two processes write the same bytes
