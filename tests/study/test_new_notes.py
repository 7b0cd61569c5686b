"""The notes of clips: cut at a rest, or shuffled in time."""

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tiny import random_notes

from pianogen.config import TokenizerConfig
from pianogen.generation import Prompt
from pianogen.study.anchor import shuffled
from pianogen.study.clips import separate_notes
from pianogen.study.cutting import REST_WITHIN_S, cut
from pianogen.study.excerpts import Excerpt
from pianogen.study.raw import RawPerformances
from pianogen.tokens import Notes, write_midi

SEEDS = st.integers(0, 10_000)
STEPS, PER_SECOND = 160, 8.0  # 20 s


def philox(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


@given(seed=SEEDS, start=st.integers(0, 300))
def test_a_cut_clip_begins_at_once_and_ends_in_its_last_seconds(seed: int, start: int) -> None:
    clip = cut(random_notes(seed, 400), start, STEPS, PER_SECOND)
    end = int((clip.onset + clip.duration).max())
    assert clip.onset[0] == 0
    assert STEPS - REST_WITHIN_S * PER_SECOND - 4 <= end <= STEPS  # a wait is at most 4 steps


@given(seed=SEEDS, start=st.integers(0, 300))
def test_a_cut_clip_has_the_notes_of_the_piece_in_their_places(seed: int, start: int) -> None:
    notes = random_notes(seed, 400)
    clip = cut(notes, start, STEPS, PER_SECOND)
    first = int(np.searchsorted(notes.onset, start))
    assert np.array_equal(clip.onset, notes.onset[first:][: len(clip)] - notes.onset[first])
    assert np.array_equal(clip.pitch, notes.pitch[first:][: len(clip)])
    assert (clip.duration <= notes.duration[first:][: len(clip)]).all()


WITH_A_REST = Notes(np.array([0, 50, 100, 120, 131, 150, 152, 200]), np.full(8, 2), np.full(8, 60))


def test_a_clip_is_cut_at_its_longest_rest() -> None:
    assert cut(WITH_A_REST, 0, STEPS, PER_SECOND).onset.tolist() == [0, 50, 100, 120, 131]


def test_a_clip_as_it_was_played_is_cut_at_its_longest_rest_too(tmp_path: Path) -> None:
    write_midi(WITH_A_REST, tmp_path / "a.mid")
    excerpt = Excerpt(WITH_A_REST, Prompt(num_steps=0), {"source": "a.mid"})
    clip = RawPerformances(tmp_path).played(excerpt, TokenizerConfig(), 0, 20.0)
    assert np.allclose(clip.onset, np.array([0, 50, 100, 120, 131]) / PER_SECOND)


def test_a_note_that_sounds_across_the_end_stops_there() -> None:
    clip = cut(Notes(np.array([0, 90]), np.array([2, 100]), np.array([60, 62])), 0, STEPS, PER_SECOND)
    assert clip.duration.tolist() == [2, STEPS - 90]


def test_a_piece_without_notes_after_the_start_is_an_empty_clip() -> None:
    assert len(cut(random_notes(0, 20), 10_000, STEPS, PER_SECOND)) == 0


@given(SEEDS)
def test_the_anchor_has_the_same_notes_at_other_times(seed: int) -> None:
    notes = cut(random_notes(seed, 400), 0, STEPS, PER_SECOND)
    anchor = shuffled(notes, philox(seed))
    there = Counter(zip(notes.pitch.tolist(), notes.duration.tolist(), strict=True))
    assert not Counter(zip(anchor.pitch.tolist(), anchor.duration.tolist(), strict=True)) - there
    assert len(anchor) > 0.8 * len(notes)  # those that fall together are one
    assert not np.array_equal(anchor.onset[:20], notes.onset[:20])
    assert (anchor.onset + anchor.duration).max() <= (notes.onset + notes.duration).max()


@given(count=st.integers(2, 5), seed=SEEDS)
def test_the_notes_of_a_check_are_apart_and_different(count: int, seed: int) -> None:
    notes = separate_notes(count, philox(seed))
    assert len(notes.onset) == count
    assert (np.diff(notes.onset) > notes.duration[:-1] + 0.3).all()
    assert (np.diff(notes.pitch) != 0).all()
