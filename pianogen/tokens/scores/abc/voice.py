"""One voice of a tune: tokens to notes, bar by bar.

Every method that reads a token raises SourceError if the token is not allowed at its position.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.scores.abc.fields import Metre
from pianogen.tokens.scores.abc.key import ACCIDENTALS, Key, written_pitch
from pianogen.tokens.scores.abc.lexer import AbcToken, grace_notes, length_factor, whole_number

_MAX_BARS = 100_000
_MAX_DENOMINATOR = 2**40  # of an onset; beyond it there is no common tick, and fractions could grow without limit
_HIGHEST_PITCH = 127
_TUPLET_TIMES = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # 5, 7 and 9 notes depend on the metre


@dataclass
class VoiceNote:
    """A note of a voice."""

    onset: Fraction
    end: Fraction
    pitch: int  # the sounding pitch
    natural: int  # the pitch without accidental, which a tie compares
    accidental: int  # in semitones
    tied_to_next: bool = False
    tied_from_previous: bool = False


class Bar(NamedTuple):
    """Start and end of a bar, in quarters."""

    start: Fraction
    end: Fraction


@dataclass
class _Group:
    """A note, chord or rest."""

    onset: Fraction
    written: Fraction  # the length before a broken rhythm is applied
    notes: list[VoiceNote]


@dataclass
class _Chord:
    notes: list[VoiceNote] = field(default_factory=list)
    length: Fraction | None = None  # of the first note


class Voice:
    """The notes of a voice, and the state of reading them."""

    def __init__(self, metre: Metre, unit: Fraction, key: Key) -> None:
        self.metre, self.unit, self.key = metre, unit, key
        self.transposition = 0  # semitones from the written to the sounding pitch
        self.is_percussion = False
        self.propagation = "pitch"  # how far an accidental reaches within its bar: pitch, octave, not
        self.notes: list[VoiceNote] = []
        self.grace_notes = 0
        self.bars: list[Bar] = []
        self.resumed_behind = False  # whether it continued after a gap during which other voices continued
        self.key_changes: list[tuple[Fraction, Key]] = []
        self.now = Fraction(0)
        self._bar_start = Fraction(0)
        self._layer_ends: list[Fraction] = []  # of the previous overlays of this bar
        self._accidentals: dict[int | str, int] = {}
        self._ties: dict[int, VoiceNote] = {}
        self._last: _Group | None = None
        self._may_break = False  # whether the last group is in this bar
        self._broken: tuple[Fraction, Fraction] | None = None  # factor and written length of the next group
        self._tuplet_factor = Fraction(1)
        self._tuplet_remaining = 0
        self._chord: _Chord | None = None

    def read(self, token: AbcToken) -> None:
        """Read the next token."""
        if self._chord is not None and token.kind not in ("note", "rest", "tie", "chord_end"):
            raise SourceError(f"{token.match[0]!r} is inside a chord that is not closed")
        getattr(self, f"_read_{token.kind}")(token.match)

    def change_key(self, key: Key) -> None:
        """Change the key; earlier accidentals of the bar no longer apply."""
        if key != self.key:
            self.key_changes.append((self.now, key))
        self.key = key
        self._accidentals.clear()

    def end_line(self) -> None:
        """Check that no chord is open."""
        if self._chord is not None:
            raise SourceError("a chord is not closed")

    def finish(self) -> None:
        """Close the last bar."""
        self.end_line()
        if self._broken is not None:
            raise SourceError("the music ends after a broken rhythm, which needs a second note")
        self.end_bar()

    def end_bar(self) -> None:
        """Close the bar; a bar of length 0 is ignored."""
        if self._tuplet_remaining:
            raise SourceError(
                f"a tuplet is incomplete at the end of bar {self.bar_number}: notes missing {self._tuplet_remaining}"
            )
        ends = {*self._layer_ends, self.now}
        if len(ends) > 1:
            lengths = " and ".join(str(end - self._bar_start) for end in sorted(ends))
            raise InconsistentScoreError(f"in bar {self.bar_number} the overlays last {lengths} quarters")
        if self.now > self._bar_start:
            self.bars.append(Bar(self._bar_start, self.now))
        if len(self.bars) > _MAX_BARS:
            raise SourceError(f"a voice has more than {_MAX_BARS} bars")
        self._bar_start = self.now
        self._layer_ends.clear()
        self._accidentals.clear()
        self._may_break = False

    @property
    def bar_number(self) -> int:
        """The number of the current bar, from 1."""
        return len(self.bars) + 1

    def _read_note(self, match: re.Match[str]) -> None:
        note = self._voice_note(match["accidental"], match["name"], match["marks"])
        length = length_factor(match["length"]) * self.unit
        if self._chord is None:
            self._append([note], length)
        else:
            self._chord.length = self._chord.length or length
            self._chord.notes.append(note)

    def _read_chord(self, match: re.Match[str]) -> None:
        self._chord = _Chord()

    def _read_chord_end(self, match: re.Match[str]) -> None:
        if self._chord is None or self._chord.length is None:
            raise SourceError("']' is not inside a chord")
        notes, length, self._chord = self._chord.notes, self._chord.length, None
        self._append(notes, length * length_factor(match["chord_length"]))

    def _read_rest(self, match: re.Match[str]) -> None:
        length = length_factor(match["rest_length"]) * self.unit
        if self._chord is None:
            self._append([], length)
        else:
            self._chord.length = self._chord.length or length

    def _read_bars(self, match: re.Match[str]) -> None:
        """Rests of whole bars."""
        if self.metre.is_free:
            raise SourceError(f"{match[0]} is a rest of whole bars, but the metre is free")
        for left in reversed(range(whole_number(match["count"], 1))):
            self._append([], self.metre.bar_quarters)
            if left:
                self.end_bar()

    def _read_spacer(self, match: re.Match[str]) -> None:
        """Ignore a spacer, which only affects layout."""

    def _read_ending(self, match: re.Match[str]) -> None:
        """Ignore the number of an ending, since repeats are not expanded."""

    def _read_mark(self, match: re.Match[str]) -> None:
        if self.now > self._bar_start:
            raise SourceError(f"{match[0]!r} is inside a bar")

    def _read_bar(self, match: re.Match[str]) -> None:
        self.end_bar()

    def _read_tie(self, match: re.Match[str]) -> None:
        notes = self._chord.notes[-1:] if self._chord else self._last.notes if self._last else []
        if not notes:
            raise SourceError("a tie has no note before it")
        for note in notes:
            note.tied_to_next = True
            self._ties[note.natural] = note

    def _read_broken(self, match: re.Match[str]) -> None:
        if self._last is None or not self._may_break or self._broken is not None or len(match[0]) > 3:
            raise SourceError(f"the broken rhythm {match[0]} has no note before it")
        short = Fraction(1, 2 ** len(match[0]))
        factors = (2 - short, short) if match[0][0] == ">" else (short, 2 - short)
        self.now = self._last.onset + (self.now - self._last.onset) * factors[0]
        for note in self._last.notes:
            note.end = self.now
        self._broken = factors[1], self._last.written

    def _read_tuplet(self, match: re.Match[str]) -> None:
        notes, times, group = [*match["numbers"].split(":"), "", ""][:3]
        count = whole_number(notes, 0)
        if self._tuplet_remaining or (not times and not 2 <= count <= 9):
            raise SourceError(
                "a tuplet is inside another tuplet" if self._tuplet_remaining else f"{match[0]} is not a tuplet"
            )
        default = _TUPLET_TIMES.get(count, 3 if self.metre.is_compound else 2)
        self._tuplet_factor = Fraction(whole_number(times, default), count)
        self._tuplet_remaining = whole_number(group, count)

    def _read_overlay(self, match: re.Match[str]) -> None:
        """Return to the start of the bar; accidentals of other overlays do not apply to this one."""
        if self._tuplet_remaining or self._broken is not None:
            raise SourceError("an overlay starts before a tuplet or a broken rhythm is complete")
        self._layer_ends.append(self.now)
        self.now, self._last = self._bar_start, None
        self._accidentals.clear()

    def _read_extended_overlay(self, match: re.Match[str]) -> None:
        raise SourceError(f"overlays of several bars ({match[0]}) are not supported; write them as voices")

    def _read_grace(self, match: re.Match[str]) -> None:
        for note in grace_notes(match["notes"]):
            self.grace_notes += 1
            self._alteration(note.accidental, note.letter, written_pitch(note.letter, note.octave_marks))

    def _voice_note(self, accidental: str | None, letter: str, octave_marks: str) -> VoiceNote:
        natural = written_pitch(letter, octave_marks)
        before = self._ties.get(natural)
        tied = before is not None and before.tied_to_next and before.end == self.now and before.onset < self.now
        if before is not None and tied and accidental is None:
            alteration = before.accidental  # even across a bar line
        else:
            alteration = self._alteration(accidental, letter, natural)
        pitch = natural + alteration + self.transposition
        if not 0 <= pitch <= _HIGHEST_PITCH:
            raise SourceError(f"the note {letter}{octave_marks} is outside the range of MIDI")
        return VoiceNote(self.now, self.now, pitch, natural, alteration, tied_from_previous=tied)

    def _alteration(self, accidental: str | None, letter: str, natural: int) -> int:
        """The semitones that alter a note; an explicit accidental also applies to the rest of the bar."""
        key = letter.upper() if self.propagation == "pitch" else natural
        if accidental is None:
            return self._accidentals.get(key, self.key.accidentals.get(letter.upper(), 0))
        if self.propagation != "not":
            self._accidentals[key] = ACCIDENTALS[accidental]
        return ACCIDENTALS[accidental]

    def _append(self, notes: list[VoiceNote], written: Fraction) -> None:
        """Append a note, chord or rest at the current time, and advance to its end."""
        if self._tuplet_remaining:
            written *= self._tuplet_factor
            self._tuplet_remaining -= 1
        length = written
        if self._broken is not None:
            factor, other = self._broken
            if written != other:
                raise SourceError("a broken rhythm joins notes of different lengths")
            length, self._broken = written * factor, None
        self._last, self._may_break = _Group(self.now, written, notes), True
        self.now += length
        if self.now.denominator > _MAX_DENOMINATOR:
            raise SourceError("its rhythms have no common tick")
        for note in notes:
            note.end = self.now
        if not self.is_percussion:
            self.notes += notes
