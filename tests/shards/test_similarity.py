"""The same music is recognised by its melody: under transposition and small changes, and nothing else."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from small_sources import piece

from pianogen.tokens import Notes, encode
from shards.similarity import groups, melody, signature


@given(st.integers(0, 1000), st.integers(-6, 5))
def test_a_transposed_piece_has_the_same_signature(seed, shift):
    notes = piece(seed)
    assert signature(encode(replace(notes, pitch=notes.pitch + shift))) == signature(encode(notes))


@given(st.sets(st.integers(0, 1000), min_size=2, max_size=8))
def test_different_pieces_are_not_similar(seeds):
    assert groups([signature(encode(piece(seed))) for seed in seeds]) == list(range(len(seeds)))


@given(st.integers(0, 1000), st.integers(0, 59))
def test_a_piece_with_one_wrong_note_is_similar(seed, wrong):
    notes = piece(seed)
    pitch = notes.pitch.copy()
    pitch[wrong] += 1
    assert groups([signature(encode(notes)), signature(encode(replace(notes, pitch=pitch)))]) == [0, 0]


def test_similarity_is_transitive():
    a, b = signature(encode(piece(1))), signature(encode(piece(2)))
    assert groups([a, b, None, b, a]) == [0, 1, 2, 1, 0]


def test_a_short_melody_is_similar_to_none():
    short = signature(encode(piece(1, length=8)))
    assert groups([short, short]) == [0, 1]


def test_the_melody_is_the_highest_note_of_each_onset():
    onset, pitch = np.array([0, 0, 0, 4, 8, 8]), np.array([72, 60, 52, 71, 69, 45])
    assert melody(encode(Notes(onset, np.full(6, 2), pitch))).tolist() == [72, 71, 69]
