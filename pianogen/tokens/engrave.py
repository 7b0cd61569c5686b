"""Note tables to MusicXML, with music21: two staves, split near middle C, with at most four voices each.

A note within a fourth of middle C stays on the staff of the line that it continues: that of the nearest note of the
onset before, if it is at most a fifth away.

Onsets and pitches are exact. So are lengths, with two exceptions: a note ends where its key is struck again; and where
a staff runs out of voices, a note ends when the next chord needs its voice, or joins the chord of the nearest length at
the same onset. Times are in grid steps.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool

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
_NEAR_MIDDLE_C = 5  # semitones
_SAME_LINE = 7  # semitones between two notes of a line, at most
MAX_VOICES = 4  # per staff
_MAX_BARS = 10_000
_MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_LETTERS_BY_FIFTHS = "FCGDAEB"


@dataclass
class _Chord:
    """Notes of equal onset and length."""

    onset: int
    end: int
    pitches: list[int]


class _Segment(NamedTuple):
    """The part of a chord or rest within one bar; a rest has no pitches."""

    start: Fraction
    end: Fraction
    pitches: list[int]
    tie: str | None


class _Layout(NamedTuple):
    """Properties of the whole score."""

    steps_per_quarter: int
    time_signature: tuple[int, int]
    bar_length: Fraction
    num_bars: int
    fifths: int  # sharps in the key signature; negative for flats


def write_musicxml(
    notes: Notes, path: Path, *, steps_per_quarter: int = 4, time_signature: tuple[int, int] = (4, 4)
) -> None:
    """Write a note table as a piano score; see `musicxml_bytes`."""
    path.write_bytes(musicxml_bytes(notes, steps_per_quarter=steps_per_quarter, time_signature=time_signature))


def musicxml_bytes(notes: Notes, *, steps_per_quarter: int = 4, time_signature: tuple[int, int] = (4, 4)) -> bytes:
    """Encode a note table as a piano score in MusicXML, in 4/4 if the time signature cannot be notated.

    Raises:
        TokenError: There are too many bars, or the grid has no note values in music notation.
    """
    from music21.defaults import divisionsPerQuarter
    from music21.musicxml.m21ToXml import GeneralObjectExporter
    from music21.musicxml.xmlObjects import MusicXMLExportException

    time_signature = plausible_metre(time_signature)
    bar_length, num_bars = _bars(notes, time_signature, steps_per_quarter)
    if num_bars > _MAX_BARS:  # such as short bars of 1/8
        time_signature = COMMON_TIME
        bar_length, num_bars = _bars(notes, time_signature, steps_per_quarter)
    if num_bars > _MAX_BARS:
        raise TokenError(f"the notes fill {num_bars} bars; a score may have at most {_MAX_BARS}, so write fewer notes")
    no_note_values = TokenError(
        f"music notation has no note values for a grid of {steps_per_quarter} steps per quarter; write MIDI, or use "
        "4, 8 or 12"
    )
    if divisionsPerQuarter % steps_per_quarter:
        raise no_note_values
    score = _score(notes, _Layout(steps_per_quarter, time_signature, bar_length, num_bars, _key_fifths(notes)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # music21 warns about engraving details
            return GeneralObjectExporter().parse(score)
    except MusicXMLExportException as error:
        raise no_note_values from error


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

    high = on_upper_staff(notes)
    staves = [_staff(notes, high, TrebleClef(), 1, layout), _staff(notes, ~high, BassClef(), 1 + MAX_VOICES, layout)]
    score = Score([*staves, StaffGroup(staves, name="Piano", symbol="brace")])
    score.metadata = Metadata(title="Piano piece", composer="pianogen")
    return score


def on_upper_staff(notes: Notes) -> Bool[np.ndarray, " N"]:
    """Which notes are written on the upper staff: those from middle C on, but a line that crosses it stays together."""
    upper = notes.pitch >= MIDDLE_C
    near = np.abs(notes.pitch - MIDDLE_C) <= _NEAR_MIDDLE_C
    starts = np.flatnonzero(np.diff(notes.onset, prepend=-1)).tolist()
    before = slice(0, 0)
    for now in map(slice, starts, [*starts[1:], len(notes)]):
        if near[now].any() and before.stop:
            distance = np.abs(notes.pitch[now, None] - notes.pitch[None, before])
            continues = near[now] & (distance.min(axis=1) <= _SAME_LINE)
            chosen = np.where(continues, upper[before][distance.argmin(axis=1)], upper[now])
            if not np.any(np.diff(chosen.astype(int)) > 0):  # pitches descend: the hands do not cross
                upper[now] = chosen
        before = now
    return upper


def _staff(notes: Notes, chosen: np.ndarray, clef: "Clef", first_voice: int, layout: _Layout) -> "PartStaff":
    from music21.key import KeySignature
    from music21.meter import TimeSignature
    from music21.stream import Measure, PartStaff

    bars: list[dict[int, list[_Segment]]] = [{} for _ in range(layout.num_bars)]  # by voice
    for number, voice in enumerate(_voices(_chords(notes, chosen)), first_voice):
        segments = _split_at_bar_lines(voice, layout.bar_length)
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


def _fill(measure: "Measure", start: Fraction, voices: dict[int, list[_Segment]], layout: _Layout) -> None:
    """Insert the voices of one bar, filled up with rests.

    Where voices sound together, the stems of the higher half of them point up and those of the others down. Only the
    first voice shows rests, and only where no other one sounds.
    """
    from music21.stream import Voice

    stems = _stems(voices)
    for index, (number, segments) in enumerate(voices.items()):
        others = [other for name in voices if name != number for other in voices[name]]
        voice = Voice(id=str(number))  # even a single one, since music21 renumbers bars without voices
        for segment in _with_rests(segments, start, start + layout.bar_length):
            hidden = not segment.pitches and (index > 0 or _is_covered(segment, others))
            for symbol in _split_at_beats(segment, start, layout.steps_per_quarter):
                element = _element(symbol, layout)
                if segment.pitches and number in stems:
                    element.stemDirection = stems[number]  # pyright: ignore[reportAttributeAccessIssue]
                if hidden:
                    element.style.hideObjectOnPrint = True
                voice.append(element)
        measure.insert(0, voice)


def _stems(voices: dict[int, list[_Segment]]) -> dict[int, str]:
    """Where the stems of voices point that sound while another one does."""
    together = [
        number
        for number, own in voices.items()
        if any(
            one.start < other.end and other.start < one.end
            for one in own
            for name, others in voices.items()
            if name != number
            for other in others
        )
    ]
    by_pitch = sorted(together, key=lambda number: -_mean_pitch(voices[number]))
    return {number: "up" if place < len(by_pitch) / 2 else "down" for place, number in enumerate(by_pitch)}


def _mean_pitch(segments: list[_Segment]) -> float:
    return float(np.mean([pitch for segment in segments for pitch in segment.pitches]))


def _is_covered(rest: _Segment, sounding: list[_Segment]) -> bool:
    """Whether other voices sound all through a rest."""
    reached = rest.start
    for segment in sorted(sounding, key=lambda segment: segment.start):
        if segment.start <= reached:
            reached = max(reached, segment.end)
    return reached >= rest.end


def _chords(notes: Notes, chosen: np.ndarray) -> list[_Chord]:
    """Group notes of equal onset and length into chords, ordered by onset."""
    chords: dict[tuple[int, int], _Chord] = {}
    ends = np.minimum(notes.onset + notes.duration, next_strike(notes.onset, notes.pitch))
    rows = zip(notes.onset[chosen].tolist(), ends[chosen].tolist(), notes.pitch[chosen].tolist(), strict=True)
    for onset, end, pitch in rows:
        chords.setdefault((onset, end), _Chord(onset, end, [])).pitches.append(pitch)
    return list(chords.values())


def _voices(chords: list[_Chord]) -> list[list[_Chord]]:
    """Assign each chord to the first free voice, so that chords do not overlap within a voice."""
    voices: list[list[_Chord]] = []
    for chord in chords:
        voice = next((free for free in voices if free[-1].end <= chord.onset), None)
        if voice is None and len(voices) < MAX_VOICES:
            voice = []
            voices.append(voice)
        if voice is None:
            voice = min(voices, key=lambda busy: (busy[-1].onset == chord.onset, abs(busy[-1].end - chord.end)))
            if voice[-1].onset == chord.onset:  # all voices have a chord at this onset
                voice[-1].pitches += chord.pitches
                continue
            voice[-1].end = chord.onset
        voice.append(chord)
    return voices


def _split_at_bar_lines(voice: list[_Chord], bar_length: Fraction) -> Iterator[_Segment]:
    """Split chords at bar lines, with ties across them."""
    for chord in voice:
        start, end = Fraction(chord.onset), Fraction(chord.end)
        while start < end:
            stop = min(end, (start // bar_length + 1) * bar_length)
            yield _Segment(start, stop, chord.pitches, _tie(start > chord.onset, stop < end))
            start = stop


def _tie(continued: bool, continues: bool) -> str | None:
    return {(False, True): "start", (True, True): "continue", (True, False): "stop"}.get((continued, continues))


def _with_rests(segments: list[_Segment], start: Fraction, end: Fraction) -> Iterator[_Segment]:
    for segment in segments:
        if segment.start > start:
            yield _Segment(start, segment.start, [], None)
        yield segment
        start = segment.end
    if start < end:
        yield _Segment(start, end, [], None)


def _split_at_beats(segment: _Segment, bar_start: Fraction, beat: int) -> Iterator[_Segment]:
    """Split a segment that starts off the half beats at the next beat; on grids with tuplets, split at every beat.

    So every part has a note value in music21, and the beats are easy to read.
    """
    tuplets = beat & (beat - 1) != 0
    off_beat = (segment.start - bar_start) % Fraction(beat, 2) != 0
    cuts = [segment.start]
    next_beat = ((segment.start - bar_start) // beat + 1) * beat + bar_start
    while next_beat < segment.end and (tuplets or (len(cuts) == 1 and off_beat)):
        cuts.append(next_beat)
        next_beat += beat
    for start, end in zip(cuts, [*cuts[1:], segment.end], strict=True):
        continued = start > segment.start or segment.tie in ("continue", "stop")
        continues = end < segment.end or segment.tie in ("start", "continue")
        yield segment._replace(start=start, end=end, tie=_tie(continued, continues) if segment.pitches else None)


def _element(segment: _Segment, layout: _Layout) -> "GeneralNote":
    from music21.chord import Chord
    from music21.note import Note, Rest
    from music21.tie import Tie

    length = (segment.end - segment.start) / layout.steps_per_quarter
    if not segment.pitches:
        return Rest(quarterLength=length)
    pitches = [_spelled(pitch, layout.fifths) for pitch in sorted(segment.pitches)]
    element = Note(pitches[0], quarterLength=length) if len(pitches) == 1 else Chord(pitches, quarterLength=length)
    if segment.tie is not None:
        element.tie = Tie(segment.tie)
    return element


def _spelled(pitch: int, fifths: int) -> "Pitch":
    """Spell a pitch as near to the key as possible on the line of fifths: from a minor third to an augmented fifth."""
    from music21.pitch import Accidental, Pitch

    lowest = fifths - 3
    above_c = (7 * (pitch % 12) - lowest) % 12 + lowest  # in fifths
    sharps = (above_c + 1) // 7
    spelled = Pitch(_LETTERS_BY_FIFTHS[(above_c + 1) % 7])
    if sharps:
        spelled.accidental = Accidental(sharps)
    spelled.octave = (pitch - sharps) // 12 - 1
    return spelled


def _key_fifths(notes: Notes) -> int:
    """Sharps (negative for flats) of the key that best fits the pitch-class durations.

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
