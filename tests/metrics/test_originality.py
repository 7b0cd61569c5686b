"""Runs of notes that two performances have in common, against a comparison of all pairs of notes."""

from itertools import pairwise

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from pianogen.metrics.originality import EXACT, FORMS, NEAR, Form, in_runs
from pianogen.metrics.suffix_array import longest_matches, suffix_array
from pianogen.tokens.notes import Notes, canonical

notes_of_few_kinds = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 3, 200]), st.integers(1, 2), st.integers(60, 62)), max_size=12
)


@st.composite
def performances(draw) -> Notes:
    """Notes from a few waits, lengths and pitches, so that runs occur."""
    waits, durations, pitches = np.array(draw(notes_of_few_kinds), np.int64).reshape(-1, 3).T
    return canonical(np.cumsum(waits), durations, pitches)


def rows(notes: Notes) -> list[tuple[int, int, int]]:
    return list(zip(notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), strict=True))


def agree(form: Form, one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]) -> bool:
    """The definition, in words of its own: whether two passages of equal length are a run."""
    if form is EXACT and [note[1:] for note in one] != [note[1:] for note in other]:
        return False
    for (first, second), (third, fourth) in zip(pairwise(one), pairwise(other), strict=True):
        waits = min(second[0] - first[0], 160), min(fourth[0] - third[0], 160)
        if form is EXACT and waits[0] != waits[1]:
            return False
        if form is NEAR and second[2] - first[2] != fourth[2] - third[2]:
            return False
        if form is NEAR and (waits[0] + 1).bit_length() != (waits[1] + 1).bit_length():
            return False
    return True


def longest_from(form: Form, piece: Notes, begin: int, sources: list[Notes]) -> int:
    longest = 0
    for source in sources:
        for at in range(len(source)):
            length = 1
            while (
                begin + length <= len(piece)
                and at + length <= len(source)
                and agree(form, rows(piece)[begin : begin + length], rows(source)[at : at + length])
            ):
                longest = max(longest, length)
                length += 1
    return longest


def longest_runs(form: Form, piece: Notes, sources: list[Notes]) -> list[int]:
    text = np.concatenate([form.of_source(source) for source in sources])
    return longest_matches(text, suffix_array(text), form.of_piece(piece), form.tail_bits)[0].tolist()


@given(st.sampled_from(FORMS), performances(), st.lists(performances(), min_size=1, max_size=3))
def test_the_longest_run_from_each_note_is_that_of_a_comparison_of_all_pairs(form, piece, sources):
    expected = [longest_from(form, piece, begin, sources) for begin in range(len(piece))]
    assert longest_runs(form, piece, sources) == expected


@given(performances(), performances())
def test_a_near_run_is_never_shorter_than_the_exact_run(piece, source):
    assert np.all(np.array(longest_runs(EXACT, piece, [source])) <= longest_runs(NEAR, piece, [source]))


@given(performances(), st.integers(-20, 20))
def test_a_transposed_performance_is_one_near_run(notes, semitones):
    assume(len(notes))
    transposed = Notes(notes.onset, notes.duration, notes.pitch + semitones)
    assert longest_runs(NEAR, transposed, [notes])[0] == len(notes)


@given(performances())
def test_a_performance_is_one_exact_run_of_itself(notes):
    assert longest_runs(EXACT, notes, [notes]) >= list(range(len(notes), 0, -1))


@given(st.lists(st.integers(0, 6), max_size=20), st.integers(1, 6))
def test_the_notes_in_runs_are_those_that_a_long_run_contains(lengths, min_notes):
    lengths = [min(length, len(lengths) - begin) for begin, length in enumerate(lengths)]
    expected = [
        any(length >= min_notes and begin <= note < begin + length for begin, length in enumerate(lengths))
        for note in range(len(lengths))
    ]
    assert in_runs(np.array(lengths, np.int32), min_notes).tolist() == expected
