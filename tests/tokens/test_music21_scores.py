"""Scores become sounding notes in exact ticks."""

import zipfile
from fractions import Fraction
from pathlib import Path

import pytest
from music21 import chord, harmony, instrument, meter, note, stream, tempo, tie
from note_tables import rows_of

from pianogen.errors import SourceError
from pianogen.tokens.notes import RawNotes
from pianogen.tokens.score import MAX_SCORE_BYTES, read_score, score_notes

ABC = "X:1\nM:3/4\nL:1/4\nQ:1/4=90\nK:C\n{pickup}|C D E |[CEG]3 |]\n"
KERN = "**kern\n*M3/4\n=1\n4c\n4d\n4e\n=2\n2.g\n==\n*-\n"


def part(*elements: note.GeneralNote) -> stream.Part:
    """Elements one after another, in bars."""
    line = stream.Part()
    line.append(meter.TimeSignature("4/4"))
    line.append(list(elements))
    measured = line.makeMeasures()
    assert measured is not None
    return measured


def quarter_rows(raw: RawNotes) -> list[tuple[Fraction, Fraction, int]]:
    """Onset and duration in quarters, and pitch."""
    quarter = raw.ticks_per_quarter
    return [(Fraction(onset, quarter), Fraction(duration, quarter), pitch) for onset, duration, pitch in rows_of(raw)]


def tied(name: str, length: float, kind: str) -> note.Note:
    """A note with a tie."""
    one = note.Note(name, quarterLength=length)
    one.tie = tie.Tie(kind)
    return one


def test_parts_are_merged_and_chords_are_their_notes() -> None:
    score = stream.Score([part(chord.Chord("C5 E5", quarterLength=2)), part(note.Note("C3", quarterLength=4))])
    assert sorted(quarter_rows(score_notes(score))) == [(0, 2, 72), (0, 2, 76), (0, 4, 48)]


def test_tied_notes_are_joined_across_a_bar_line() -> None:
    score = part(note.Rest(quarterLength=3), tied("C4", 1, "start"), tied("C4", 4, "continue"), tied("C4", 0.5, "stop"))
    assert quarter_rows(score_notes(score)) == [(3, Fraction(11, 2), 60)]


def test_one_tied_note_of_a_chord_is_joined_alone() -> None:
    first, second = chord.Chord("C4 E4", quarterLength=1), chord.Chord("C4 F4", quarterLength=1)
    first.setTie("start", "C4")
    second.setTie("stop", "C4")
    assert sorted(quarter_rows(score_notes(part(first, second)))) == [(0, 1, 64), (0, 2, 60), (1, 1, 65)]


def test_a_tie_that_leads_nowhere_changes_nothing() -> None:
    score = part(tied("C4", 1, "start"), note.Note("D4"), tied("C4", 1, "stop"))
    assert quarter_rows(score_notes(score)) == [(0, 1, 60), (1, 1, 62), (2, 1, 60)]


def test_a_tie_of_which_only_the_beginning_is_marked_joins_too() -> None:
    score = part(tied("C4", 1, "start"), note.Note("C4"), note.Note("C4"))
    assert quarter_rows(score_notes(score)) == [(0, 2, 60), (2, 1, 60)]


def test_a_tie_goes_to_the_note_marked_as_its_end() -> None:
    upper, lower = stream.Voice(), stream.Voice()
    upper.append([note.Rest(quarterLength=1), note.Note("C4", quarterLength=3)])
    lower.append([tied("C4", 1, "start"), tied("C4", 1, "stop")])
    assert sorted(quarter_rows(score_notes(stream.Part([upper, lower])))) == [(0, 2, 60), (1, 3, 60)]


def test_two_ties_of_one_pitch_stay_two_notes() -> None:
    upper, lower = stream.Voice(), stream.Voice()
    upper.append([tied("C4", 2, "start"), tied("C4", 1, "stop")])
    lower.append([note.Rest(quarterLength=1), tied("C4", 1, "start"), tied("C4", 1, "stop")])
    assert sorted(quarter_rows(score_notes(stream.Part([upper, lower])))) == [(0, 3, 60), (1, 2, 60)]


def test_grace_notes_are_left_out_and_counted() -> None:
    grace = [note.Note("D4").getGrace(), chord.Chord("E4 G4").getGrace()]
    raw = score_notes(part(*(one for one in grace if one is not None), note.Note("C4")))
    assert (quarter_rows(raw), raw.grace_notes) == ([(0, 1, 60)], 3)


def test_tuplets_keep_exact_fractions() -> None:
    triplet, quintuplet = Fraction(1, 3), Fraction(1, 5)
    lengths = [triplet] * 3 + [quintuplet] * 5
    raw = score_notes(part(*(note.Note("C4", quarterLength=length) for length in lengths)))
    assert [duration for _, duration, _ in quarter_rows(raw)] == lengths
    assert raw.ticks_per_quarter == 15


def test_transposing_instruments_sound_as_they_sound() -> None:
    line = stream.Part([instrument.Clarinet(), note.Note("D4")])
    score = stream.Score([line])
    score.atSoundingPitch = False
    assert quarter_rows(score_notes(score)) == [(0, 1, 60)]
    assert line.recurse().notes[0].pitches[0].midi == 62  # the score itself is as it was


def test_chord_symbols_sound_not() -> None:
    line = stream.Part([harmony.ChordSymbol("Am"), note.Note("C4")])
    assert len(score_notes(line)) == 1


def test_seconds_follow_metronome_marks() -> None:
    line = stream.Part([tempo.MetronomeMark(number=60), note.Note("C4", quarterLength=2)])
    line.append([tempo.MetronomeMark(number=30), note.Note("D4", quarterLength=2)])
    assert score_notes(line).seconds == pytest.approx(6.0)


def test_a_score_without_notes_is_refused() -> None:
    with pytest.raises(SourceError, match="holds no notes"):
        score_notes(stream.Score([part(note.Rest())]))


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.abc", ABC.format(pickup=""), [(0, 1, 60), (1, 1, 62), (2, 1, 64), (3, 3, 60), (3, 3, 64), (3, 3, 67)]),
        ("b.krn", KERN, [(0, 1, 60), (1, 1, 62), (2, 1, 64), (3, 3, 67)]),
    ],
)
def test_abc_and_kern_are_read(tmp_path: Path, name: str, text: str, rows: list[tuple[int, int, int]]) -> None:
    (tmp_path / name).write_text(text)
    raw = read_score(tmp_path / name)
    assert (sorted(quarter_rows(raw)), raw.time_signature) == (rows, (3, 4))


def test_a_pickup_stands_at_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text(ABC.format(pickup="G,"))
    assert quarter_rows(read_score(tmp_path / "a.abc"))[:2] == [(0, 1, 55), (1, 1, 60)]


def test_repeats_are_not_expanded(tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text("X:1\nM:3/4\nL:1/4\nK:C\n|:C D E:|\n")
    assert len(read_score(tmp_path / "a.abc")) == 3


def test_a_compressed_score_is_read(tmp_path: Path) -> None:
    plain = Path(part(note.Note("C4")).write("musicxml", tmp_path / "a.musicxml"))
    with zipfile.ZipFile(tmp_path / "a.mxl", "w") as archive:
        archive.write(plain, "a.musicxml")
    assert quarter_rows(read_score(tmp_path / "a.mxl")) == [(0, 1, 60)]


@pytest.mark.parametrize("name", ["a.musicxml", "a.mxl", "a.abc", "a.krn"])
@pytest.mark.parametrize("data", [b"no score", b"<?xml version='1.0'?><score-partwise><part>", bytes(range(256)) * 4])
def test_a_broken_score_is_refused_in_one_line(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError) as error:
        read_score(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_score_cut_short_is_refused(tmp_path: Path) -> None:
    whole = Path(part(note.Note("C4")).write("musicxml", tmp_path / "a.musicxml")).read_bytes()
    (tmp_path / "a.musicxml").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="is no readable score"):
        read_score(tmp_path / "a.musicxml")


def test_an_empty_or_missing_score_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.abc").touch()
    with pytest.raises(SourceError, match="is empty"):
        read_score(tmp_path / "a.abc")
    with pytest.raises(SourceError, match="cannot be read"):
        read_score(tmp_path / "b.abc")


def test_a_small_archive_of_a_huge_score_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.mxl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.musicxml", bytes(MAX_SCORE_BYTES + 1))
    with pytest.raises(SourceError, match="a score may have at most"):
        read_score(tmp_path / "a.mxl")


def test_a_file_of_several_pieces_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text(ABC.format(pickup="") + "\n" + ABC.format(pickup="").replace("X:1", "X:2"))
    with pytest.raises(SourceError, match="holds 2 pieces"):
        read_score(tmp_path / "a.abc")


def test_reading_leaves_no_pickle_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from music21 import freezeThaw

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a score was pickled")

    monkeypatch.setattr(freezeThaw.StreamFreezer, "write", refuse)
    (tmp_path / "a.krn").write_text(KERN)
    assert len(read_score(tmp_path / "a.krn")) == 4
