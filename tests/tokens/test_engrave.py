"""Engraved tables are read back from MusicXML, and are notated as a pianist expects."""

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from music21 import converter, stream
from note_tables import note_tables, rows_of, table_of

from pianogen.config import TokenizerConfig
from pianogen.errors import TokenError
from pianogen.tokens.codec import decode
from pianogen.tokens.engrave import musicxml_bytes, write_musicxml
from pianogen.tokens.notes import Notes, quantise
from pianogen.tokens.pedal import next_strike
from pianogen.tokens.scores import read_score
from pianogen.tokens.vocab import ids_of

METERS = [(4, 4), (3, 4), (6, 8), (3, 8), (2, 2), (7, 16)]


def through_a_score(notes: Notes, folder: Path, steps_per_quarter: int, meter: tuple[int, int]) -> Notes:
    """Engrave, read and quantise."""
    path = folder / "piece.musicxml"
    write_musicxml(notes, path, steps_per_quarter=steps_per_quarter, time_signature=meter)
    return quantise(read_score(path), TokenizerConfig(steps_per_quarter=steps_per_quarter))[0]


def engraved(notes: Notes, folder: Path) -> stream.Score:
    """The score as music21 reads it."""
    write_musicxml(notes, folder / "piece.musicxml")
    score = converter.parse(folder / "piece.musicxml", forceSource=True)
    assert isinstance(score, stream.Score)
    return score


@settings(max_examples=15, deadline=None)
@given(note_tables(max_notes=4), st.sampled_from([1, 2, 3, 4, 6, 8, 12]), st.sampled_from(METERS))
def test_a_few_notes_are_read_back_shortened_only_by_a_restrike(
    tmp_path_factory: pytest.TempPathFactory, notes: Notes, steps_per_quarter: int, meter: tuple[int, int]
) -> None:
    heard = through_a_score(notes, tmp_path_factory.mktemp("score"), steps_per_quarter, meter)
    lengths = np.minimum(notes.duration, next_strike(notes.onset, notes.pitch) - notes.onset)
    assert rows_of(heard) == rows_of(Notes(notes.onset, lengths, notes.pitch))


@settings(max_examples=10, deadline=None)
@given(note_tables(max_notes=30))
def test_many_notes_are_read_back_shortened_only_by_a_restrike(
    tmp_path_factory: pytest.TempPathFactory, notes: Notes
) -> None:
    heard = through_a_score(notes, tmp_path_factory.mktemp("score"), 4, (4, 4))
    lengths = np.minimum(notes.duration, next_strike(notes.onset, notes.pitch) - notes.onset)
    assert rows_of(heard) == rows_of(Notes(notes.onset, lengths, notes.pitch))


@settings(max_examples=10, deadline=None)
@given(note_tables(max_notes=30), st.sampled_from([4, 12]))
def test_a_simplified_score_has_every_onset_and_pitch_and_two_voices_a_staff(
    tmp_path_factory: pytest.TempPathFactory, notes: Notes, steps_per_quarter: int
) -> None:
    path = tmp_path_factory.mktemp("score") / "piece.musicxml"
    path.write_bytes(musicxml_bytes(notes, steps_per_quarter=steps_per_quarter, simplified=True))
    heard, _ = quantise(read_score(path), TokenizerConfig(steps_per_quarter=steps_per_quarter))
    assert (heard.onset.tolist(), heard.pitch.tolist()) == (notes.onset.tolist(), notes.pitch.tolist())
    bars = ET.fromstring(path.read_bytes()).iter("measure")
    staves = [{(note.findtext("staff"), note.findtext("voice")) for note in bar.iter("note")} for bar in bars]
    assert all(len(voices) <= 4 and Counter(staff for staff, _ in voices)["1"] <= 2 for voices in staves)


def test_the_golden_bar_is_read_back(tmp_path: Path) -> None:
    words = "xxbos xxpad n72 d2 n52 d16 n48 d16 n45 d16 xxsep d2 n71 d2 xxsep d8 n67 d4 xxsep d4 n64 d1 xxeos"
    notes = decode(ids_of(words.split()))
    assert rows_of(through_a_score(notes, tmp_path, 4, (4, 4))) == rows_of(notes)


def test_the_staves_are_split_at_middle_c(tmp_path: Path) -> None:
    upper, lower = engraved(table_of([(0, 4, 60), (0, 4, 59)]), tmp_path).parts
    assert [staff.recurse().notes[0].pitches[0].midi for staff in (upper, lower)] == [60, 59]


@pytest.mark.parametrize(
    ("scale", "sharps", "names"),
    [
        ([0, 2, 4, 5, 7, 9, 11, 0], 0, "C D E F G A B C"),
        ([2, 4, 6, 7, 9, 11, 1, 2], 2, "D E F# G A B C# D"),
        ([3, 5, 7, 8, 10, 0, 2, 3], -3, "E- F G A- B- C D E-"),
        ([9, 11, 0, 2, 4, 5, 8, 9], 0, "A B C D E F G# A"),
    ],
)
def test_notes_are_spelled_in_their_key(tmp_path: Path, scale: list[int], sharps: int, names: str) -> None:
    score = engraved(table_of([(4 * index, 4, 60 + step) for index, step in enumerate(scale)]), tmp_path)
    assert score.recurse().getElementsByClass("KeySignature")[0].sharps == sharps
    assert [one.pitches[0].name for one in score.parts[0].recurse().notes] == names.split()


def test_of_voices_that_sound_together_the_higher_one_has_its_stems_up(tmp_path: Path) -> None:
    together = engraved(table_of([(0, 16, 60), (4, 4, 72), (8, 4, 74)]), tmp_path).parts[0]
    stems = {note.pitches[0].midi: note.stemDirection for note in together.recurse().notes}
    assert stems == {60: "down", 72: "up", 74: "up"}


@pytest.mark.parametrize(
    ("rows", "offsets"),
    [
        ([(0, 8, 60), (4, 4, 72)], [2]),
        ([(0, 4, 60), (2, 14, 72)], []),
        ([(8, 8, 60)], [0]),
        ([(0, 8, 60), (4, 12, 72), (10, 2, 60)], []),
        (
            [(0, 6, 60), (2, 2, 72), (10, 6, 72)],
            [1.5],
        ),  # the rest ends with the silence, not with the voice's next note
    ],
)
def test_a_staff_shows_one_rest_where_nothing_sounds(
    rows: list[tuple[int, int, int]], offsets: list[int], tmp_path: Path
) -> None:
    rests = engraved(table_of(rows), tmp_path).parts[0].recurse().getElementsByClass("Rest")
    assert [rest.offset for rest in rests if not rest.style.hideObjectOnPrint] == offsets


def test_a_long_note_is_tied_over_the_bar_line(tmp_path: Path) -> None:
    notes = engraved(table_of([(12, 8, 60)]), tmp_path).parts[0].recurse().notes
    heads = [(one.measureNumber, one.quarterLength, one.tie and one.tie.type) for one in notes]
    assert heads == [(1, 1.0, "start"), (2, 1.0, "stop")]


def test_a_length_of_three_dots_is_tied_instead(tmp_path: Path) -> None:
    notes = engraved(table_of([(0, 15, 60)]), tmp_path).parts[0].recurse().notes
    assert [(one.quarterLength, one.tie and one.tie.type) for one in notes] == [(2.0, "start"), (1.75, "stop")]


def test_a_table_without_notes_is_an_empty_bar(tmp_path: Path) -> None:
    assert len(engraved(table_of([]), tmp_path).parts[0].getElementsByClass("Measure")) == 1


@pytest.mark.parametrize("steps_per_quarter", [11, 45])
def test_a_grid_without_note_values_is_refused(tmp_path: Path, steps_per_quarter: int) -> None:
    notes = table_of([(1, 1, 60)])
    with pytest.raises(TokenError, match=f"no note values for a grid of {steps_per_quarter} steps per quarter"):
        write_musicxml(notes, tmp_path / "a.musicxml", steps_per_quarter=steps_per_quarter)


def test_too_many_bars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="may have at most 10000"):
        write_musicxml(table_of([(160_000, 1, 60)]), tmp_path / "a.musicxml")
