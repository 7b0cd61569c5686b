"""The floor of a set: the same number of windows in the same number of other real pieces."""

import numpy as np
import pytest

from pianogen.judge.comparison import floor
from pianogen.judge.features import COLUMNS, FeatureTable

NUM_VALUES = max(columns.stop for columns in COLUMNS.values())


def table(*windows_of_pieces: int, seed: int = 0) -> FeatureTable:
    """Random measures of pieces with so many windows each."""
    random = np.random.Generator(np.random.Philox(seed))
    piece = np.repeat(np.arange(len(windows_of_pieces)), windows_of_pieces)
    return FeatureTable(random.normal(size=(len(piece), NUM_VALUES)), piece, len(windows_of_pieces))


@pytest.mark.parametrize("wanted", [(1, 2, 1), (2, 2), (1,), (2, 0, 1, 0)])
def test_each_real_piece_has_as_many_windows_as_one_of_the_set(wanted):
    real = table(3, 0, 3, 3, 3).as_many_as(table(*wanted))
    assert real.windows_of_pieces.tolist() == [count for count in wanted if count]


def test_a_floor_has_no_more_pieces_or_windows_than_there_are():
    assert table(2, 1).as_many_as(table(1, 3, 3)).windows_of_pieces.tolist() == [1, 1]


def test_pieces_that_are_too_short_for_a_window_do_not_change_the_floor():
    real, reference = table(*[3] * 40, seed=1), table(*[3] * 40, seed=2)
    few, padded = (floor(table(*counts), real, reference, draws=20, seed=0) for counts in ([2] * 5, [2] * 5 + [0] * 30))
    assert padded == few


def test_without_windows_there_is_no_floor():
    found = floor(table(0, 0), table(3, 3), table(3, 3), draws=20, seed=0)
    assert (found.frechet, found.overlap, found.kl_nats) == (None, None, None)
