"""Note tables to MusicXML, with music21: two staves around middle C, at most four voices each, on the grid.

Onsets and pitches are written as they are. Lengths are too, with two exceptions: a note ends where its key is struck
again; and where a staff runs out of voices, it ends when the next chord takes its voice, or takes the nearest length
struck at that moment. Times are in grid steps throughout.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pianogen.errors import TokenError
from pianogen.tokens.metre import COMMON_TIME, plausible_metre
from pianogen.tokens.notes import Notes
from pianogen.tokens.pedal import next_strike

if TYPE_CHECKING:
    from music21.clef import Clef
    from music21.note import GeneralNote
    from music21.pitch import Pitch
    from music21.stream import Measure, PartStaff, Score

MIDDLE_C = 60
MAX_VOICES = 4  # a staff
_MAX_BARS = 10_000
_MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_LETTERS_BY_FIFTHS = "FCGDAEB"


@dataclass
class _Chord:
    """Notes struck together for one length."""

    onset: int
    end: int
    pitches: list[int]


class _Piece(NamedTuple):
    """What stands as one symbol, or as several tied ones, inside a bar; a rest has no pitches."""

    start: Fraction
    end: Fraction
    pitches: list[int]
    tie: str | None


class _Page(NamedTuple):
    """What holds for the whole score."""

    steps_per_quarter: int
    time_signature: tuple[int, int]
    bar: Fraction  # its length
    num_bars: int
    fifths: int  # sharps of the key signature, flats below 0


def write_musicxml(
    notes: Notes, path: Path, *, steps_per_quarter: int = 4, time_signature: tuple[int, int] = (4, 4)
) -> None:
    """Write a note table as a piano score in MusicXML, in 4/4 where the time signature cannot be written.

    Raises:
        TokenError: The notes fill too many bars to engrave, or their grid has no signs in notation.
    """
    from music21.defaults import divisionsPerQuarter
    from music21.musicxml.m21ToXml import GeneralObjectExporter
    from music21.musicxml.xmlObjects import MusicXMLExportException

    time_signature = plausible_metre(time_signature)
    bar, num_bars = _bars(notes, time_signature, steps_per_quarter)
    if num_bars > _MAX_BARS:  # bars of 1/8 are many
        time_signature = COMMON_TIME
        bar, num_bars = _bars(notes, time_signature, steps_per_quarter)
    if num_bars > _MAX_BARS:
        raise TokenError(f"the notes fill {num_bars} bars; a score may have at most {_MAX_BARS}, so cut them")
    no_signs = TokenError(
        f"notation has no signs for a grid of {steps_per_quarter} steps a quarter; write MIDI, or use 4, 8 or 12"
    )
    if divisionsPerQuarter % steps_per_quarter:
        raise no_signs
    score = _score(notes, _Page(steps_per_quarter, time_signature, bar, num_bars, _key_fifths(notes)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # music21 warns of engraving details
            path.write_bytes(GeneralObjectExporter().parse(score))
    except MusicXMLExportException as error:
        raise no_signs from error


def _bars(notes: Notes, time_signature: tuple[int, int], steps_per_quarter: int) -> tuple[Fraction, int]:
    """Length and number of the bars."""
    bar = Fraction(4 * time_signature[0] * steps_per_quarter, time_signature[1])
    last = int((notes.onset + notes.duration).max(initial=1))
    return bar, int(-(-last // bar))


def _score(notes: Notes, page: _Page) -> "Score":
    from music21.clef import BassClef, TrebleClef
    from music21.layout import StaffGroup
    from music21.metadata import Metadata
    from music21.stream import Score

    high = notes.pitch >= MIDDLE_C
    staves = [_staff(notes, high, TrebleClef(), 1, page), _staff(notes, ~high, BassClef(), 1 + MAX_VOICES, page)]
    score = Score([*staves, StaffGroup(staves, name="Piano", symbol="brace")])
    score.metadata = Metadata(title="Piano piece", composer="pianogen")
    return score


def _staff(notes: Notes, chosen: np.ndarray, clef: "Clef", first_voice: int, page: _Page) -> "PartStaff":
    from music21.key import KeySignature
    from music21.meter import TimeSignature
    from music21.stream import Measure, PartStaff

    bars: list[dict[int, list[_Piece]]] = [{} for _ in range(page.num_bars)]  # by voice
    for number, voice in enumerate(_voices(_chords(notes, chosen)), first_voice):
        for bar, pieces in groupby(_pieces(voice, page.bar), key=lambda piece: int(piece.start // page.bar)):
            bars[bar][number] = list(pieces)
    staff = PartStaff(id=f"staff-{clef.sign}")
    for index, voices in enumerate(bars):
        measure = Measure(number=index + 1)
        if index == 0:
            meter = f"{page.time_signature[0]}/{page.time_signature[1]}"
            for mark in (clef, KeySignature(page.fifths), TimeSignature(meter)):
                measure.insert(0, mark)
        _fill(measure, index * page.bar, voices or {first_voice: []}, page)
        staff.append(measure)
    return staff


def _fill(measure: "Measure", start: Fraction, voices: dict[int, list[_Piece]], page: _Page) -> None:
    """Put one bar's voices into it, each made whole with rests."""
    from music21.stream import Voice

    for number, pieces in voices.items():
        voice = Voice(id=str(number))  # even a single one: music21 renumbers where a bar has none
        for piece in _with_rests(pieces, start, start + page.bar):
            for symbol in _at_beats(piece, start, page.steps_per_quarter):
                voice.append(_element(symbol, page))
        measure.insert(0, voice)


def _chords(notes: Notes, chosen: np.ndarray) -> list[_Chord]:
    """Notes of one onset and one length as one chord, in the order of time."""
    chords: dict[tuple[int, int], _Chord] = {}
    ends = np.minimum(notes.onset + notes.duration, next_strike(notes.onset, notes.pitch))
    rows = zip(notes.onset[chosen].tolist(), ends[chosen].tolist(), notes.pitch[chosen].tolist(), strict=True)
    for onset, end, pitch in rows:
        chords.setdefault((onset, end), _Chord(onset, end, [])).pitches.append(pitch)
    return list(chords.values())


def _voices(chords: list[_Chord]) -> list[list[_Chord]]:
    """Lay chords into the first voice that is free, so that none overlap within a voice."""
    voices: list[list[_Chord]] = []
    for chord in chords:
        voice = next((one for one in voices if one[-1].end <= chord.onset), None)
        if voice is None and len(voices) < MAX_VOICES:
            voice = []
            voices.append(voice)
        if voice is None:
            voice = min(voices, key=lambda one: (one[-1].onset == chord.onset, abs(one[-1].end - chord.end)))
            if voice[-1].onset == chord.onset:  # all voices were struck at this very moment
                voice[-1].pitches += chord.pitches
                continue
            voice[-1].end = chord.onset
        voice.append(chord)
    return voices


def _pieces(voice: list[_Chord], bar: Fraction) -> Iterator[_Piece]:
    """Cut chords at bar lines, tied across them."""
    for chord in voice:
        start, end = Fraction(chord.onset), Fraction(chord.end)
        while start < end:
            stop = min(end, (start // bar + 1) * bar)
            yield _Piece(start, stop, chord.pitches, _tie(start > chord.onset, stop < end))
            start = stop


def _tie(continued: bool, continues: bool) -> str | None:
    return {(False, True): "start", (True, True): "continue", (True, False): "stop"}.get((continued, continues))


def _with_rests(pieces: list[_Piece], start: Fraction, end: Fraction) -> Iterator[_Piece]:
    for piece in pieces:
        if piece.start > start:
            yield _Piece(start, piece.start, [], None)
        yield piece
        start = piece.end
    if start < end:
        yield _Piece(start, end, [], None)


def _at_beats(piece: _Piece, bar_start: Fraction, beat: int) -> Iterator[_Piece]:
    """Cut at the next beat what begins off the half beats; on grids with tuplets, cut at every beat crossed.

    The cuts let music21 find a sign for each part, and readers the beats.
    """
    tuplets = beat & (beat - 1) != 0
    cuts = [piece.start]
    next_beat = ((piece.start - bar_start) // beat + 1) * beat + bar_start
    while next_beat < piece.end and (tuplets or (len(cuts) == 1 and (piece.start - bar_start) % Fraction(beat, 2))):
        cuts.append(next_beat)
        next_beat += beat
    for start, end in zip(cuts, [*cuts[1:], piece.end], strict=True):
        continued = start > piece.start or piece.tie in ("continue", "stop")
        continues = end < piece.end or piece.tie in ("start", "continue")
        yield piece._replace(start=start, end=end, tie=_tie(continued, continues) if piece.pitches else None)


def _element(piece: _Piece, page: _Page) -> "GeneralNote":
    from music21.chord import Chord
    from music21.note import Note, Rest
    from music21.tie import Tie

    length = (piece.end - piece.start) / page.steps_per_quarter
    if not piece.pitches:
        return Rest(quarterLength=length)
    pitches = [_spelled(pitch, page.fifths) for pitch in sorted(piece.pitches)]
    element = Note(pitches[0], quarterLength=length) if len(pitches) == 1 else Chord(pitches, quarterLength=length)
    if piece.tie is not None:
        element.tie = Tie(piece.tie)
    return element


def _spelled(pitch: int, fifths: int) -> "Pitch":
    """The name nearest to the key on the line of fifths: from a minor third below its tonic to an augmented fifth."""
    from music21.pitch import Accidental, Pitch

    lowest = fifths - 3
    place = (7 * (pitch % 12) - lowest) % 12 + lowest  # fifths above C
    sharps = (place + 1) // 7
    spelled = Pitch(_LETTERS_BY_FIFTHS[(place + 1) % 7])
    if sharps:
        spelled.accidental = Accidental(sharps)
    spelled.octave = (pitch - sharps) // 12 - 1
    return spelled


def _key_fifths(notes: Notes) -> int:
    """Sharps (flats below 0) of the key that fits the sounding pitch classes best.

    Reference: Krumhansl (1990), Cognitive Foundations of Musical Pitch.
    """
    sounding = np.bincount(notes.pitch % 12, weights=notes.duration, minlength=12)
    best, fifths = -np.inf, 0
    for profile, to_relative_major in ((_MAJOR_PROFILE, 0), (_MINOR_PROFILE, 3)):
        weights = (np.array(profile) - np.mean(profile)) / np.std(profile)
        for tonic in range(12):
            fit = float(weights @ np.roll(sounding, -tonic))
            if fit > best:
                best, fifths = fit, (7 * (tonic + to_relative_major) + 5) % 12 - 5
    return fifths
