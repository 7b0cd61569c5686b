"""Note tables to MusicXML, with music21: two staves, split near middle C, with at most four voices each.

A note within a fourth of middle C stays on the staff of the line that it continues: that of the nearest note of the
onset before, if it is at most a fifth away.

Onsets and pitches are exact, and so are lengths, except that a note ends where its key is struck again. A simplified
score has at most two voices on a staff, and writes notes shorter for it. Times are in grid steps.
"""

import warnings
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pianogen.errors import TokenError
from pianogen.tokens.metre import COMMON_TIME, plausible_metre
from pianogen.tokens.notes import Notes
from pianogen.tokens.pedal import next_strike
from pianogen.tokens.segments import Segment, gaps, split_at_bar_lines, split_at_beats, stem_directions, with_rests
from pianogen.tokens.spelling import key_fifths, spelled
from pianogen.tokens.staves import on_upper_staff, redistributed
from pianogen.tokens.voices import Rules, Tone, voices_of

if TYPE_CHECKING:
    from music21.clef import Clef
    from music21.note import GeneralNote
    from music21.stream import Measure, PartStaff, Score

MAX_VOICES = 4  # per staff
_MAX_BARS = 10_000
_TIES = {(False, False): None, (False, True): "start", (True, True): "continue", (True, False): "stop"}


class _Layout(NamedTuple):
    """Properties of the whole score."""

    steps_per_quarter: int
    time_signature: tuple[int, int]
    bar_length: Fraction
    num_bars: int
    fifths: int  # sharps in the key signature; negative for flats
    rules: Rules


def write_musicxml(
    notes: Notes, path: Path, *, steps_per_quarter: int = 4, time_signature: tuple[int, int] = (4, 4)
) -> None:
    """Write a note table as a piano score; see `musicxml_bytes`."""
    path.write_bytes(musicxml_bytes(notes, steps_per_quarter=steps_per_quarter, time_signature=time_signature))


def musicxml_bytes(
    notes: Notes,
    *,
    steps_per_quarter: int = 4,
    time_signature: tuple[int, int] = (4, 4),
    simplified: bool = False,
) -> bytes:
    """Encode a note table as a piano score in MusicXML, in 4/4 if the time signature cannot be notated.

    A simplified score has at most two voices on a staff; where more notes sound, some are written shorter.

    Raises:
        TokenError: There are too many bars, or the grid has no note values in music notation.
    """
    from music21.defaults import divisionsPerQuarter
    from music21.musicxml.m21ToXml import GeneralObjectExporter
    from music21.musicxml.xmlObjects import MusicXMLExportException

    rules = Rules(steps_per_quarter, 2 if simplified else MAX_VOICES, simplified)
    layout = _layout(notes, steps_per_quarter, time_signature, rules)
    no_note_values = TokenError(
        f"music notation has no note values for a grid of {steps_per_quarter} steps per quarter; write MIDI, or use "
        "4, 8 or 12"
    )
    if divisionsPerQuarter % steps_per_quarter:
        raise no_note_values
    score = _score(notes, layout)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # music21 warns about engraving details
            return GeneralObjectExporter().parse(score)
    except MusicXMLExportException as error:
        raise no_note_values from error


def _layout(notes: Notes, steps_per_quarter: int, time_signature: tuple[int, int], rules: Rules) -> _Layout:
    time_signature = plausible_metre(time_signature)
    bar_length, num_bars = _bars(notes, time_signature, steps_per_quarter)
    if num_bars > _MAX_BARS:  # such as short bars of 1/8
        time_signature = COMMON_TIME
        bar_length, num_bars = _bars(notes, time_signature, steps_per_quarter)
    if num_bars > _MAX_BARS:
        raise TokenError(f"the notes fill {num_bars} bars; a score may have at most {_MAX_BARS}, so write fewer notes")
    return _Layout(steps_per_quarter, time_signature, bar_length, num_bars, key_fifths(notes), rules)


def _bars(notes: Notes, time_signature: tuple[int, int], steps_per_quarter: int) -> tuple[Fraction, int]:
    """Length and number of the bars."""
    bar_length = Fraction(4 * time_signature[0] * steps_per_quarter, time_signature[1])
    last = int((notes.onset + notes.duration).max(initial=1))
    return bar_length, int(-(-last // bar_length))


def _score(notes: Notes, layout: _Layout) -> "Score":
    from music21.clef import BassClef, TrebleClef
    from music21.layout import StaffGroup
    from music21.metadata import Metadata
    from music21.stream import Score

    high = redistributed(notes, on_upper_staff(notes))
    staves = [_staff(notes, high, TrebleClef(), 1, layout), _staff(notes, ~high, BassClef(), 1 + MAX_VOICES, layout)]
    score = Score([*staves, StaffGroup(staves, name="Piano", symbol="brace")])
    score.metadata = Metadata(title="Piano piece", composer="pianogen")
    return score


def _staff(notes: Notes, chosen: np.ndarray, clef: "Clef", first_voice: int, layout: _Layout) -> "PartStaff":
    from music21.key import KeySignature
    from music21.meter import TimeSignature
    from music21.stream import Measure, PartStaff

    bars: list[dict[int, list[Segment]]] = [{} for _ in range(layout.num_bars)]  # by voice
    for number, voice in enumerate(voices_of(_tones(notes, chosen), layout.rules), first_voice):
        segments = split_at_bar_lines(voice, layout.bar_length)
        for bar, in_bar in groupby(segments, key=lambda segment: int(segment.start // layout.bar_length)):
            bars[bar][number] = list(in_bar)
    staff = PartStaff(id=f"staff-{clef.sign}")
    for index, voices in enumerate(bars):
        measure = Measure(number=index + 1)
        if index == 0:
            meter = f"{layout.time_signature[0]}/{layout.time_signature[1]}"
            for mark in (clef, KeySignature(layout.fifths), TimeSignature(meter)):
                measure.insert(0, mark)
        _fill(measure, index * layout.bar_length, voices or {first_voice: []}, layout)
        staff.append(measure)
    return staff


def _fill(measure: "Measure", start: Fraction, voices: dict[int, list[Segment]], layout: _Layout) -> None:
    """Insert the voices of one bar, filled up with rests.

    Where voices sound together, the stems of the higher half of them point up and those of the others down. Only the
    first voice shows rests, and only where no other one sounds.
    """
    from music21.stream import Voice

    stems = stem_directions(voices)
    silent = gaps([segment for voice in voices.values() for segment in voice], start, start + layout.bar_length)
    for index, (number, segments) in enumerate(voices.items()):
        voice = Voice(id=str(number))  # even a single one, since music21 renumbers bars without voices
        for segment in with_rests(segments, start, start + layout.bar_length, silent if index == 0 else []):
            for symbol in split_at_beats(segment, start, layout.steps_per_quarter):
                element = _element(symbol, layout)
                if segment.heads and number in stems:
                    element.stemDirection = stems[number]  # pyright: ignore[reportAttributeAccessIssue]
                if segment.hidden:
                    element.style.hideObjectOnPrint = True
                voice.append(element)
        measure.insert(0, voice)


def _tones(notes: Notes, chosen: np.ndarray) -> list[Tone]:
    """The notes of a staff, each until its key is struck again."""
    ends = np.minimum(notes.onset + notes.duration, next_strike(notes.onset, notes.pitch))
    rows = zip(notes.onset[chosen].tolist(), ends[chosen].tolist(), notes.pitch[chosen].tolist(), strict=True)
    return [Tone(*row) for row in rows]


def _element(segment: Segment, layout: _Layout) -> "GeneralNote":
    from music21.chord import Chord as Music21Chord
    from music21.note import Note, Rest
    from music21.tie import Tie

    length = (segment.end - segment.start) / layout.steps_per_quarter
    if not segment.heads:
        return Rest(quarterLength=length)
    notes = []
    for head in sorted(segment.heads):
        note = Note(spelled(head.pitch, layout.fifths), quarterLength=length)
        if kind := _TIES[head.tied_back, head.tied_on]:
            note.tie = Tie(kind)
        notes.append(note)
    return notes[0] if len(notes) == 1 else Music21Chord(notes, quarterLength=length)
