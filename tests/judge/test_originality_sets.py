"""Copies of sets of pieces: only on the grid of the shards, and named by what is known about the source."""

import pytest
from judge.judged import tune

from pianogen.data import Split
from pianogen.errors import SettingError
from pianogen.judge.originality import HUMAN, find_copies, longest
from pianogen.judge.piece_sets import NamedPiece, PieceSet, Role, title_of
from pianogen.metrics.music import Piece


def set_of(*grids: int, role: Role = "judged") -> PieceSet:
    pieces = [NamedPiece(f"{number}.mid", Piece.of(tune(number), grid)) for number, grid in enumerate(grids)]
    return PieceSet("model", role, pieces)


@pytest.mark.parametrize("grids", [(12,), (4, 12)])
def test_pieces_on_another_grid_than_the_shards_are_refused(shards, grids):
    with pytest.raises(SettingError) as refused:
        find_copies([set_of(*grids)], shards)
    assert str(refused.value) == (
        f"set 'model' has pieces with 12 steps per quarter, but the shards {shards.folder} have 4, so no copies can be "
        "found; give shards of the same grid, or --originality false"
    )
    assert not (shards.folder / ".originality").exists()  # before anything is computed


def test_copies_are_not_searched_in_what_is_not_judged(shards):
    assert [one.name for one in find_copies([set_of(48, role="raw"), set_of(4)], shards)] == [HUMAN, "model"]


def test_performances_without_a_source_are_numbered(shards, monkeypatch):
    monkeypatch.setattr(Split, "metadata", lambda split, index: {})
    human, _ = find_copies([set_of(4)], shards)
    assert human.pieces == tuple(str(number) for number in range(len(shards.split("test"))))


@pytest.mark.parametrize(
    ("known", "title"),
    [
        ({"composer": "Bach", "title": "Fugue", "source": "a.mid"}, "Bach, Fugue"),
        ({"composer": None, "title": "Fugue", "source": "a.mid"}, "Fugue"),
        ({"composer": "", "source": "a.mid"}, "a.mid"),
        ({}, "3"),
    ],
)
def test_a_title_is_what_is_known_best(known, title):
    assert title_of(known, 3) == title


@pytest.mark.parametrize(("composer", "title"), [("Bach", "Bach, Fugue"), (None, "a.mid")])
def test_the_longest_runs_name_their_source(composer, title, shards, monkeypatch):
    known = {"composer": composer, "title": composer and "Fugue", "source": "a.mid"}
    monkeypatch.setattr(Split, "metadata", lambda split, index: known)
    assert {one["source"] for one in longest(find_copies([set_of(4)], shards))} == {title}
