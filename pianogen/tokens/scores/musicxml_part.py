"""One part of a MusicXML score, bar by bar; notes, <backup> and <forward> move the current position.

Reference: MusicXML 4.0, https://www.w3.org/2021/06/musicxml40/.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple, NoReturn
from xml.etree.ElementTree import Element

from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.scores.musicxml_values import (
    Transposition,
    decimal,
    metronome,
    semitones,
    sound_tempo,
    tie_of,
    time_signature,
    transposition,
)
from pianogen.tokens.scores.written import WrittenNote

_UNTRANSPOSED = Transposition(Fraction(0), 0)
ROUNDING = Fraction(1, 16)
"""Quarters by which the durations of a bar may exceed it, since they are rounded to whole divisions."""


class BarFill(NamedTuple):
    """How much of a bar one part fills, in quarters from the start of the bar."""

    length: Fraction  # the last position reached by a note, rest, backup or forward
    sounding: Fraction  # the end of the last note; 0 without notes
    time_signature: Fraction  # the length of a bar by the time signature; 0 without one

    @property
    def without_excess(self) -> Fraction:
        """The length without rests or rounding errors beyond the time signature."""
        if self.time_signature == 0 or self.length <= self.time_signature:
            return self.length
        return self.length if self.sounding > self.time_signature + ROUNDING else self.time_signature


class _BarNote(NamedTuple):
    """A note before transposition; its onset is relative to the start of the bar."""

    onset: Fraction
    staff: str
    semitones: Fraction  # the written pitch as a MIDI number
    written: WrittenNote


class PartReader:
    """Reads the bars of one part in order, and collects their notes and tempo marks."""

    def __init__(self, index: int, name: str) -> None:
        self.notes: list[WrittenNote] = []
        self.grace_notes = 0
        self.tempo_marks: dict[str, list[tuple[Fraction, float]]] = {"sound": [], "metronome": []}
        self.time_signature: tuple[Fraction, tuple[int, int]] | None = None
        """The first time signature and its onset."""
        self.name = name
        self._index = index
        self._bar_length = Fraction(0)  # by the current time signature
        self._divisions: Fraction | None = None
        self._lengths: dict[str, Fraction] = {}  # <duration> -> quarters, for the current divisions
        self._transpositions: dict[str | None, Transposition] = {}  # by staff; None for all others
        self._bar = ""

    def read_bar(self, bar: Element, start: Fraction) -> BarFill:
        """Read a bar that starts at `start`.

        Raises:
            SourceError: A value is missing or invalid.
            InconsistentScoreError: A backup leads out of the bar, or a chord has no first note.
        """
        self._bar = bar.get("number", "?")
        position = end = Fraction(0)
        chord_onset: Fraction | None = None  # onset of the last note that can be the first of a chord
        notes: list[_BarNote] = []
        changes: list[tuple[Fraction, str | None, Transposition]] = []
        for element in bar:
            if element.tag == "note":
                children = {child.tag: child for child in element}
                if "chord" not in children:
                    chord_onset = position
                elif chord_onset is None:
                    self._refuse("a chord has no first note", InconsistentScoreError)
                length = self._length(children)
                notes += self._bar_notes(element, children, start, chord_onset, length)
                if "chord" not in children:
                    position += length
            elif element.tag == "backup":
                position -= self._duration(element.find("duration"))
                chord_onset = None
                if position < 0:
                    self._refuse("a backup leads to before the start of the bar", InconsistentScoreError)
            elif element.tag == "forward":
                position += self._duration(element.find("duration"))
                chord_onset = None
            elif element.tag == "attributes":
                changes += [(position, *change) for change in self._attributes(element, start + position)]
            elif element.tag in ("direction", "sound"):
                self._tempo(element, start + position)
            end = max(end, position)
        self.notes += self._sounding(notes, changes)
        sounding = max((note.written.end - start for note in notes), default=Fraction(0))
        return BarFill(end, sounding, self._bar_length)

    def _length(self, children: dict[str, Element]) -> Fraction:
        return Fraction(0) if "grace" in children else self._duration(children.get("duration"))

    def _duration(self, element: Element | None) -> Fraction:
        """A <duration> in quarters."""
        text = "" if element is None else (element.text or "").strip()
        if text not in self._lengths:
            self._lengths[text] = self._checked_duration(text)
        return self._lengths[text]

    def _checked_duration(self, text: str) -> Fraction:
        value = decimal(text)
        if value is None or value < 0:
            self._refuse(f"a duration is {text!r}; it must be a positive number" if text else "a duration is missing")
        if self._divisions is None:
            self._refuse("a duration is before the first <divisions>, so its length is undefined")
        return value / self._divisions

    def _bar_notes(
        self, element: Element, children: dict[str, Element], start: Fraction, onset: Fraction, length: Fraction
    ) -> Iterator[_BarNote]:
        if "pitch" not in children:
            if "rest" not in children and "unpitched" not in children:
                self._refuse("a note has neither a pitch nor a rest")
            return
        if "cue" in children:
            return
        if "grace" in children:
            self.grace_notes += 1
            return
        if length == 0:
            self._refuse("a note has duration 0; only grace notes may")
        pitch = semitones(children["pitch"])
        if pitch is None:
            self._refuse("a pitch must have a step from A to G, an octave from 0 to 9 and an alteration in semitones")
        staff = children["staff"].text or "1" if "staff" in children else "1"
        tie = tie_of(element) if "tie" in children or "notations" in children else None
        begin = start + onset
        yield _BarNote(onset, staff.strip(), pitch, WrittenNote(begin, begin + length, 0, tie, self._index))

    def _attributes(self, element: Element, onset: Fraction) -> Iterator[tuple[str | None, Transposition]]:
        """Apply divisions and time signature; yield changes of transposition with their staves, None for all."""
        divisions = element.find("divisions")
        if divisions is not None:
            self._divisions = decimal((divisions.text or "").strip())
            if self._divisions is None or self._divisions <= 0:
                self._refuse(f"its <divisions> are {divisions.text!r}; they must be a positive number")
            self._lengths = {}
        for time in element.iterfind("time"):
            signature = time_signature(time)
            if signature is not None:
                self.time_signature = self.time_signature or (onset, signature)
                self._bar_length = Fraction(4 * signature[0], signature[1])
                break
        for transpose in element.iterfind("transpose"):
            change = transposition(transpose)
            if change is None:
                self._refuse("a transposition must be a whole number of octaves and a number of semitones")
            yield transpose.get("number"), change

    def _tempo(self, element: Element, position: Fraction) -> None:
        sound = element if element.tag == "sound" else element.find("sound")
        offset = element.find("offset") if element.tag == "direction" else None
        if offset is not None and offset.get("sound") != "yes":
            offset = None  # it only moves the printed direction
        printed = [metronome(mark) for mark in element.iterfind("direction-type/metronome")]
        if (tempo := next((tempo for tempo in printed if tempo is not None), None)) is not None:
            self.tempo_marks["metronome"].append((self._at_offset(position, offset), tempo))
        if sound is not None and (tempo := sound_tempo(sound)) is not None:
            own = sound.find("offset")
            self.tempo_marks["sound"].append((self._at_offset(position, offset if own is None else own), tempo))

    def _at_offset(self, position: Fraction, offset: Element | None) -> Fraction:
        shift = decimal((offset.text or "").strip()) if offset is not None else None
        if shift is None or self._divisions is None:
            return position
        return max(position + shift / self._divisions, Fraction(0))

    def _sounding(
        self, notes: list[_BarNote], changes: list[tuple[Fraction, str | None, Transposition]]
    ) -> Iterator[WrittenNote]:
        """The notes of a bar at sounding pitch; a change of transposition applies to all notes from its position on."""
        if changes:
            changes.sort(key=lambda change: -change[0])
            notes.sort(key=lambda note: note.onset)
        for note in notes:
            while changes and changes[-1][0] <= note.onset:
                self._transpose(*changes.pop()[1:])
            by_staff = self._transpositions
            shift, doubling = (
                by_staff.get(note.staff) or by_staff.get(None, _UNTRANSPOSED) if by_staff else _UNTRANSPOSED
            )
            pitch = round(note.semitones + shift)
            yield note.written._replace(pitch=pitch)
            if doubling:
                yield note.written._replace(pitch=pitch + doubling)
        while changes:
            self._transpose(*changes.pop()[1:])

    def _transpose(self, staff: str | None, change: Transposition) -> None:
        if staff is None:
            self._transpositions.clear()
        self._transpositions[staff] = change

    def _refuse(self, what: str, kind: type[SourceError] = SourceError) -> NoReturn:
        raise kind(f"part {self.name}, bar {self._bar}: {what}")
