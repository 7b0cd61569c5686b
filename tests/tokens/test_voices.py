"""The voices of a staff hold every note; an exact score keeps lengths, a simplified one has two voices at most."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from note_tables import note_tables, table_of

from pianogen.tokens.notes import Notes
from pianogen.tokens.pedal import next_strike
from pianogen.tokens.staves import on_upper_staff, redistributed
from pianogen.tokens.voices import Chord, Head, Rules, Tone, voices_of

EXACT = Rules(4)
SIMPLE = Rules(4, max_voices=2, simplified=True)


def tones_of(notes: Notes) -> list[Tone]:
    """Each note until its key is struck again."""
    ends = np.minimum(notes.onset + notes.duration, next_strike(notes.onset, notes.pitch))
    return [Tone(*row) for row in zip(notes.onset.tolist(), ends.tolist(), notes.pitch.tolist(), strict=True)]


def sounding(voices: list[list[Chord]]) -> list[Tone]:
    """The notes that voices show, tied heads as one."""
    found: list[Tone] = []
    for voice in voices:
        tied: dict[int, int] = {}
        for chord in voice:
            assert {head.pitch for head in chord.heads if head.tied_back} == set(tied)
            onsets = {head.pitch: tied.get(head.pitch, chord.start) for head in chord.heads}
            found += [Tone(onsets[head.pitch], chord.end, head.pitch) for head in chord.heads if not head.tied_on]
            tied = {head.pitch: onsets[head.pitch] for head in chord.heads if head.tied_on}
        assert not tied
    return sorted(found, key=lambda tone: (tone.onset, -tone.pitch))


@given(note_tables())
def test_an_exact_score_keeps_every_length(notes: Notes) -> None:
    assert sounding(voices_of(tones_of(notes), EXACT)) == tones_of(notes)


@given(note_tables())
def test_a_simplified_score_keeps_onsets_and_pitches_and_lengthens_nothing(notes: Notes) -> None:
    written, played = sounding(voices_of(tones_of(notes), SIMPLE)), tones_of(notes)
    assert [(tone.onset, tone.pitch) for tone in written] == [(tone.onset, tone.pitch) for tone in played]
    assert all(one.onset < one.end <= other.end for one, other in zip(written, played, strict=True))


@given(note_tables(), st.sampled_from([EXACT, SIMPLE]))
def test_chords_of_a_voice_do_not_overlap_and_voices_are_few(notes: Notes, rules: Rules) -> None:
    voices = voices_of(tones_of(notes), rules)
    assert len(voices) <= rules.max_voices
    assert all(one.end <= other.start for voice in voices for one, other in pairwise(voice))


def test_notes_of_one_onset_and_length_are_one_chord() -> None:
    assert voices_of([Tone(0, 4, 67), Tone(0, 4, 64)], SIMPLE) == [[Chord(0, 4, (Head(67), Head(64)))]]


@pytest.mark.parametrize("rules", [EXACT, SIMPLE])
def test_a_melody_above_a_held_note_is_a_voice_of_its_own(rules: Rules) -> None:
    upper, lower = voices_of([Tone(0, 4, 72), Tone(0, 16, 60), *(Tone(n, n + 4, 74) for n in (4, 8, 12))], rules)
    assert [head.pitch for chord in upper for head in chord.heads] == [72, 74, 74, 74]
    assert lower == [Chord(0, 16, (Head(60),))]


def test_a_line_played_legato_is_one_voice_in_a_simplified_score() -> None:
    line = [Tone(2 * n, 2 * n + 3, 60 + n) for n in range(8)]
    assert [chord.end for voice in voices_of(line, SIMPLE) for chord in voice] == [*range(2, 16, 2), 17]


def test_a_long_third_note_is_tied_into_a_chord() -> None:
    """Two voices hold; the one that the new note is nearest to is split there."""
    voices = voices_of([Tone(0, 32, 79), Tone(2, 30, 55), Tone(8, 32, 76)], SIMPLE)
    assert voices[0] == [
        Chord(0, 8, (Head(79, tied_on=True),)),
        Chord(8, 32, (Head(79, tied_back=True), Head(76))),
    ]


def test_a_crowded_staff_gives_the_note_near_middle_c_to_the_other_hand() -> None:
    notes = table_of([(0, 16, 43), (2, 14, 50), (4, 8, 62)])
    low = np.zeros(3, dtype=bool)
    assert redistributed(notes, low).tolist() == [False, False, True]
    assert redistributed(table_of([(0, 16, 50), (4, 8, 62)]), low[:2]).tolist() == [False, False]


def test_a_note_that_its_hand_cannot_reach_goes_to_the_other_hand() -> None:
    notes = table_of([(0, 4, 84), (0, 4, 57)])
    assert redistributed(notes, np.ones(2, dtype=bool)).tolist() == [True, False]
    tenth = table_of([(0, 4, 73), (0, 4, 59)])
    assert redistributed(tenth, np.ones(2, dtype=bool)).tolist() == [True, True]


def test_a_hand_gets_no_note_that_it_cannot_reach() -> None:
    notes = table_of([(0, 16, 43), (0, 16, 79), (2, 14, 50), (4, 8, 62)])
    assert on_upper_staff(notes).tolist() == [True, False, False, True]
    placed = np.array([True, False, False, False])
    assert redistributed(notes, placed).tolist() == placed.tolist()
