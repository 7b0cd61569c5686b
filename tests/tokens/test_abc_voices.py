"""Voices of ABC: layout, transposition, overlays, and contradictions between their bars."""

from fractions import Fraction

import pytest
from abc_notes import QUARTERS, Row, music, rows

from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.scores.abc import parse_abc

TWO_VOICES: list[Row] = [(Fraction(onset), Fraction(4), pitch) for onset, pitch in [(0, 48), (0, 60), (4, 50), (4, 62)]]


@pytest.mark.parametrize(
    "body",
    [
        "V:1\nC4|\nV:2\nC,4|\nV:1\nD4|\nV:2\nD,4|",
        "V:1\nC4|D4|\nV:2\nC,4|D,4|",
        "[V:1]C4|[V:2]C,4|[V:1]D4|[V:2]D,4|",
        "[V:1]C4|D4|\n[V:2]C,4|D,4|",
        "V: up name=\"upper voice\"\nC4|D4|\nV: low\nC,4|D,4|",
        "C4|D4|\nV:2\nC,4|D,4|\nV:3\n",
        "%%score (1 3)\nV:1\nC4|D4|\nV:2\nC,4|D,4|",
    ],
)  # fmt: skip
def test_voices_continue_where_they_stopped(body: str) -> None:
    expected = TWO_VOICES if body[0] != "C" else [(0, 4, 60), (4, 4, 62), (8, 4, 48), (12, 4, 50)]
    assert rows(f"{QUARTERS}{body}\n") == expected


def test_music_without_a_voice_belongs_to_the_first_one_declared() -> None:
    assert rows("X:1\nL:1/4\nV:a\nV:b clef=bass\nK:C\nC4|D4|\nV:b\nC,4|D,4|\n") == TWO_VOICES


def test_accidentals_keys_and_units_apply_to_one_voice() -> None:
    body = "[V:1][L:1/8]^F2F2c4|[V:2]F4|[V:1][K:G]F8|[V:2][K:G]F4|"
    assert music(body) == [(0, 1, 66), (0, 4, 65), (1, 1, 66), (2, 2, 72), (4, 4, 66), (4, 4, 66)]


@pytest.mark.parametrize(
    ("properties", "pitch"),
    [
        ("clef=treble", 60), ("clef=treble-8", 48), ("treble+8", 72), ('clef="bass-8"', 48), ("clef=bass", 60),
        ("clef=treble-15", 36), ("octave=-1", 48), ("transpose=-3", 57), ("clef=bass middle=d transpose=-24", 36),
        ("clef=treble_8", 60), ("score=B,c", 60), ("sound=CB,", 59), ("instrument=B", 59), ("name=bass-8", 60),
        ("octave=1 transpose=2", 74), ("shift=CD", 62),
    ],
)  # fmt: skip
def test_voice_properties_transpose(properties: str, pitch: int) -> None:
    assert rows(f"X:1\nL:1/4\nV:1 {properties}\nK:C\nV:1\nC4|\n") == [(0, 4, pitch)]


def test_key_properties_transpose() -> None:
    assert rows("X:1\nL:1/4\nK:C clef=treble-8\nC|[K:clef=bass]C|[K:D transpose=2]C|\n") == [
        (0, 1, 48), (1, 1, 60), (2, 1, 63),
    ]  # fmt: skip


def test_midi_transpose_transposes() -> None:
    assert rows(f"{QUARTERS}%%MIDI transpose -12\nC4|\n") == [(0, 4, 48)]


@pytest.mark.parametrize("percussion", ["V:2 clef=perc\nC,4|", "V:2 perc\nC,4|", "V:2\n%%MIDI channel 10\nC,4|"])
def test_percussion_is_left_out(percussion: str) -> None:
    assert rows(f"{QUARTERS}V:1\nC4|\n{percussion}\n") == [(0, 4, 60)]


def test_a_voice_may_leave_the_drum_channel() -> None:
    body = "V:1\n%%MIDI channel 10\nC4|\n%%MIDI channel 1\nD4|\n"
    assert rows(QUARTERS + body) == [(4, 4, 62)]


def test_overlays_start_with_their_bar() -> None:
    assert music("c4&C2E2&G,4|D4|") == [(0, 2, 60), (0, 4, 55), (0, 4, 72), (2, 2, 64), (4, 4, 62)]


def test_a_tie_may_continue_in_an_overlay() -> None:
    assert music("c4&E2G2-|d4&G4|") == [(0, 2, 64), (0, 4, 72), (2, 6, 67), (4, 4, 74)]


def test_accidentals_of_one_overlay_do_not_apply_to_another() -> None:
    assert music("^c4&c4|") == [(0, 4, 72), (0, 4, 73)]


def test_a_voice_may_end_before_the_others() -> None:
    assert music("[V:1]C4|D4|[V:2]E4|") == [(0, 4, 60), (0, 4, 64), (4, 4, 62)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("V:1\nC4|D4|\nV:2\nC4|D3|\n", "bar 2 lasts 3 quarters in voice 2 and 4 in voice 1"),
        ("c4&C3|\n", "line 5: in bar 1 the overlays last 3 and 4 quarters"),
        ("V:1\nC4|\nV:2\nC4|\nV:1\nD4|\nV:1\nE4|\nV:2\nE4|\n", "lines of voice 2 are missing"),
        ("V:1\nC4|\nV:2\nC4|\nK:D\nV:1\nF4|F4|\nV:2\nF4|F4|\n", "in bar 2 the key changes in voice 2 but not"),
    ],
)  # fmt: skip
def test_voices_that_contradict_each_other_are_refused(body: str, message: str) -> None:
    with pytest.raises(InconsistentScoreError, match=message):
        parse_abc(QUARTERS + body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("V:1 clef=treble-8 octave=-1\nC4|\n", "both the clef and octave="),
        ("V:1 transpose=2\n%%MIDI transpose 2\nC4|\n", "both transpose= and %%MIDI transpose"),
        ("M:3/4\nV:1\nC4|\nV:2\nC4|\n", "M:3/4 is between the header and the first V:"),
        ("V:*\nC4|\n", "does not name a single voice"),
        ("C4|(&D4|E4&F4|G4&)|\n", "overlays of several bars"),
        ("".join(f"V:{n}\nC4|\n" for n in range(200)), "more than 128 voices"),
    ],
)  # fmt: skip
def test_ambiguous_voices_are_refused(body: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_abc(QUARTERS + body)
