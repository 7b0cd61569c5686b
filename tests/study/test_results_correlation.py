"""Rank correlations of ratings with measures."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pianogen.study.correlation import correlations, read_pieces, spearman
from pianogen.study.ratings import Ratings
from pianogen.tokens import Notes, midi_bytes

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=20)


@given(PAIRS)
def test_the_correlation_is_that_of_scipy_with_ties(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, float).T
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert np.isnan(spearman(first[None], second[None])[0])
    else:
        assert spearman(first[None], second[None])[0] == pytest.approx(stats.spearmanr(first, second)[0])


def clips(folder: Path, steps_per_quarter: int = 4) -> list[Path]:
    """Ten clips, each with one note more than the one before, in as many steps."""
    files = []
    for number in range(10):
        onset = np.linspace(0, 30, 4 + number).astype(np.int64)
        notes = Notes(onset, np.ones_like(onset), 60 + np.arange(len(onset)))
        files.append(folder / f"{number}.mid")
        files[-1].write_bytes(midi_bytes(notes, steps_per_quarter=steps_per_quarter))
    return files


def test_ratings_by_the_number_of_notes_correlate_with_it(tmp_path: Path) -> None:
    pieces = read_pieces(clips(tmp_path))
    assert pieces is not None
    ratings = Ratings(np.linspace(0, 5, 10)[None], np.arange(10) % 2, ("a", "b"))
    found = {one.measure: one for one in correlations(ratings, pieces, np.random.default_rng(0))}
    assert found["note_density"].rho == found["note_density"].low == pytest.approx(1.0)
    assert found["note_density"].rho_within == pytest.approx(1.0)


@pytest.mark.parametrize("steps_per_quarter", [4, 12])
def test_clips_are_measured_on_the_grid_of_their_tokens(tmp_path: Path, steps_per_quarter: int) -> None:
    pieces = read_pieces(clips(tmp_path, steps_per_quarter))
    assert pieces is not None
    assert {one.steps_per_quarter for one in pieces} == {steps_per_quarter}


def test_without_the_notes_of_a_clip_nothing_is_measured(tmp_path: Path) -> None:
    files = clips(tmp_path)
    files[3].unlink()
    assert read_pieces(files) is None
