"""One part of a MusicXML score, bar by bar: a musical position that notes move on, and backup and forward move.

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
"""Quarters by which the durations of a bar may go beyond it because they are whole divisions."""


class BarFill(NamedTuple):
    """How much of a bar is written in one part, in quarters from its beginning."""

    length: Fraction  # the furthest position that a note, rest, backup or forward reaches
    sounding: Fraction  # the end of its last note; 0 without notes
    time_signature: Fraction  # the length that it gives a bar; 0 without one

    @property
    def without_excess(self) -> Fraction:
        """The length without rests, or errors of rounding, beyond the time signature."""
        if self.time_signature == 0 or self.length <= self.time_signature:
            return self.length
        return self.length if self.sounding > self.time_signature + ROUNDING else self.time_signature


class _Head(NamedTuple):
    """A note as it is written in a bar; its onset counts from the bar's beginning."""

    onset: Fraction
    staff: str
    semitones: Fraction  # a MIDI number, before transposition
    note: WrittenNote


class PartReader:
    """Reads the bars of one part in their order, and keeps what it found."""

    def __init__(self, index: int, name: str) -> None:
        self.notes: list[WrittenNote] = []
        self.grace_notes = 0
        self.tempo_marks: dict[str, list[tuple[Fraction, float]]] = {"sound": [], "metronome": []}
        self.time_signature: tuple[Fraction, tuple[int, int]] | None = None
        """The first one, with its onset."""
        self.name = name
        self._index = index
        self._bar_length = Fraction(0)  # what the newest time signature says
        self._divisions: Fraction | None = None
        self._lengths: dict[str, Fraction] = {}  # <duration> -> quarters, at these divisions
        self._transpositions: dict[str | None, Transposition] = {}  # by staff; None is for all others
        self._bar = ""

    def read_bar(self, bar: Element, start: Fraction) -> BarFill:
        """Read a bar that begins at `start`.

        Raises:
            SourceError: A value is missing or has no meaning.
            InconsistentScoreError: A backup leads out of the bar, or a chord has no first note.
        """
        self._bar = bar.get("number", "?")
        position = end = Fraction(0)
        chord_onset: Fraction | None = None  # where the newest note began that can be the first of a chord
        heads: list[_Head] = []
        changes: list[tuple[Fraction, str | None, Transposition]] = []
        for element in bar:
            if element.tag == "note":
                children = {child.tag: child for child in element}
                if "chord" not in children:
                    chord_onset = position
                elif chord_onset is None:
                    self._refuse("a chord goes on without a first note", InconsistentScoreError)
                length = self._length(children)
                heads += self._heads(element, children, start, chord_onset, length)
                if "chord" not in children:
                    position += length
            elif element.tag == "backup":
                position -= self._duration(element.find("duration"))
                chord_onset = None
                if position < 0:
                    self._refuse("a backup goes back beyond the bar's beginning", InconsistentScoreError)
            elif element.tag == "forward":
                position += self._duration(element.find("duration"))
                chord_onset = None
            elif element.tag == "attributes":
                changes += [(position, *change) for change in self._attributes(element, start + position)]
            elif element.tag in ("direction", "sound"):
                self._tempo(element, start + position)
            end = max(end, position)
        self.notes += self._sounding(heads, changes)
        sounding = max((head.note.end - start for head in heads), default=Fraction(0))
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
            self._refuse("durations stand before the first <divisions>, so nobody can tell their length")
        return value / self._divisions

    def _heads(
        self, element: Element, children: dict[str, Element], start: Fraction, onset: Fraction, length: Fraction
    ) -> Iterator[_Head]:
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
            self._refuse("a note lasts for 0 divisions; only grace notes may")
        pitch = semitones(children["pitch"])
        if pitch is None:
            self._refuse("a pitch has no step of A to G, octave of 0 to 9 and alteration in semitones")
        staff = children["staff"].text or "1" if "staff" in children else "1"
        tie = tie_of(element) if "tie" in children or "notations" in children else None
        begin = start + onset
        yield _Head(onset, staff.strip(), pitch, WrittenNote(begin, begin + length, 0, tie, self._index))

    def _attributes(self, element: Element, onset: Fraction) -> Iterator[tuple[str | None, Transposition]]:
        """Take up what holds from here on; yield changes of transposition with their staves, None for all."""
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
                self._refuse("a transposition is not a whole number of octaves and a number of semitones")
            yield transpose.get("number"), change

    def _tempo(self, element: Element, position: Fraction) -> None:
        sound = element if element.tag == "sound" else element.find("sound")
        offset = element.find("offset") if element.tag == "direction" else None
        if offset is not None and offset.get("sound") != "yes":
            offset = None  # it moves what is printed only
        printed = [pace for one in element.iterfind("direction-type/metronome") if (pace := metronome(one)) is not None]
        for pace in printed[:1]:
            self.tempo_marks["metronome"].append((self._at_offset(position, offset), pace))
        if sound is not None and (pace := sound_tempo(sound)) is not None:
            own = sound.find("offset")
            self.tempo_marks["sound"].append((self._at_offset(position, offset if own is None else own), pace))

    def _at_offset(self, position: Fraction, offset: Element | None) -> Fraction:
        shift = decimal((offset.text or "").strip()) if offset is not None else None
        if shift is None or self._divisions is None:
            return position
        return max(position + shift / self._divisions, Fraction(0))

    def _sounding(
        self, heads: list[_Head], changes: list[tuple[Fraction, str | None, Transposition]]
    ) -> Iterator[WrittenNote]:
        """The notes of a bar as they sound; a change of transposition holds for all notes from its position on."""
        if changes:
            changes.sort(key=lambda change: -change[0])
            heads.sort(key=lambda head: head.onset)
        for head in heads:
            while changes and changes[-1][0] <= head.onset:
                self._transpose(*changes.pop()[1:])
            by_staff = self._transpositions
            shift, doubling = (
                by_staff.get(head.staff) or by_staff.get(None, _UNTRANSPOSED) if by_staff else _UNTRANSPOSED
            )
            pitch = round(head.semitones + shift)
            yield head.note._replace(pitch=pitch)
            if doubling:
                yield head.note._replace(pitch=pitch + doubling)
        while changes:
            self._transpose(*changes.pop()[1:])

    def _transpose(self, staff: str | None, change: Transposition) -> None:
        if staff is None:
            self._transpositions.clear()
        self._transpositions[staff] = change

    def _refuse(self, what: str, kind: type[SourceError] = SourceError) -> NoReturn:
        raise kind(f"part {self.name}, bar {self._bar}: {what}")
