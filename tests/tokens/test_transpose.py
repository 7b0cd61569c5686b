"""Transposition shifts only notes, and never beyond the keyboard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from note_tables import note_tables, table_of

from pianogen.errors import TokenError
from pianogen.tokens.codec import decode, encode
from pianogen.tokens.grammar import legal
from pianogen.tokens.notes import Notes
from pianogen.tokens.transpose import PITCH_SHIFTS, possible_shifts, transpose


@given(note_tables(), st.sampled_from(PITCH_SHIFTS))
def test_a_possible_shift_keeps_the_stream_legal_and_is_undone_by_its_opposite(notes: Notes, semitones: int) -> None:
    ids = encode(notes)
    lowest, highest = possible_shifts(ids)
    if lowest <= semitones <= highest:
        shifted = transpose(ids, semitones)
        assert legal(shifted, "strict")
        assert transpose(shifted, -semitones).tolist() == ids.tolist()


@given(note_tables(), st.sampled_from(PITCH_SHIFTS))
def test_transposing_tokens_is_transposing_notes(notes: Notes, semitones: int) -> None:
    ids = encode(notes)
    lowest, highest = possible_shifts(ids)
    if lowest <= semitones <= highest:
        assert decode(transpose(ids, semitones)).pitch.tolist() == (notes.pitch + semitones).tolist()


@given(note_tables())
def test_a_shift_beyond_the_possible_ones_is_refused_or_outside_pitch_shifts(notes: Notes) -> None:
    ids = encode(notes)
    lowest, highest = possible_shifts(ids)
    for semitones in (lowest - 1, highest + 1):
        if semitones in PITCH_SHIFTS:
            with pytest.raises(TokenError, match=r"the keyboard is n21\.\.n108"):
                transpose(ids, semitones)


@pytest.mark.parametrize(
    ("pitches", "shifts"),
    [([60], (-6, 5)), ([21], (0, 5)), ([108], (-6, 0)), ([23, 107], (-2, 1)), ([21, 108], (0, 0))],
)
def test_shifts_stop_at_the_ends_of_the_keyboard(pitches: list[int], shifts: tuple[int, int]) -> None:
    assert possible_shifts(encode(table_of([(0, 1, pitch) for pitch in pitches]))) == shifts


def test_an_excerpt_without_notes_allows_every_shift() -> None:
    assert possible_shifts(np.array([0, 1], dtype=np.int16)) == (-6, 5)


def test_the_input_is_unchanged_and_its_dtype_kept() -> None:
    ids = encode(table_of([(0, 1, 60)]))
    shifted = transpose(ids, 1)
    assert (ids[2], shifted[2], shifted.dtype) == (69, 70, np.dtype(np.int16))
