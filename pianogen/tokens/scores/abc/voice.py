"""One voice of a tune: tokens to note heads, bar by bar.

Every method that reads a token raises SourceError for one that makes no sense where it stands.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.scores.abc.fields import Metre
from pianogen.tokens.scores.abc.key import ACCIDENTALS, Key, written_pitch
from pianogen.tokens.scores.abc.lexer import Token, grace_notes, length_factor, whole_number

_MAX_BARS = 100_000
_MAX_DENOMINATOR = 2**40  # of an onset: beyond it no tick fits, and fractions could grow without end
_HIGHEST_PITCH = 127
_TUPLET_TIMES = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # 5, 7 and 9 notes depend on the metre


@dataclass
class Head:
    """A note head; the natural pitch of its line or space is what a tie holds on to."""

    onset: Fraction
    end: Fraction
    pitch: int  # as it sounds
    natural: int
    accidental: int  # in semitones
    tied: bool = False  # to the next note
    continues: bool = False  # the note before it


class Bar(NamedTuple):
    """Where a bar lies, in quarters."""

    start: Fraction
    end: Fraction


@dataclass
class _Group:
    """A note, chord or rest."""

    onset: Fraction
    written: Fraction  # its length before a broken rhythm
    heads: list[Head]


@dataclass
class _Chord:
    heads: list[Head] = field(default_factory=list)
    length: Fraction | None = None  # of its first note


class Voice:
    """The notes of a voice and the state that reading them needs."""

    def __init__(self, metre: Metre, unit: Fraction, key: Key) -> None:
        self.metre, self.unit, self.key = metre, unit, key
        self.transposition = 0  # semitones from the written to the sounding pitch
        self.is_percussion = False
        self.propagation = "pitch"  # how far an accidental reaches within its bar: pitch, octave, not
        self.heads: list[Head] = []
        self.grace_notes = 0
        self.bars: list[Bar] = []
        self.resumed_behind = False  # whether it went on after other voices had gone on without it
        self.key_changes: list[tuple[Fraction, Key]] = []
        self.now = Fraction(0)
        self._bar_start = Fraction(0)
        self._layer_ends: list[Fraction] = []  # of the overlays before the present one
        self._accidentals: dict[int | str, int] = {}
        self._ties: dict[int, Head] = {}
        self._last: _Group | None = None
        self._may_break = False  # whether the last group stands in this bar
        self._broken: tuple[Fraction, Fraction] | None = None  # factor and written length of the group to come
        self._tuplet_factor = Fraction(1)
        self._tuplet_remaining = 0
        self._chord: _Chord | None = None

    def read(self, token: Token) -> None:
        """Take in the next token of this voice."""
        if self._chord is not None and token.kind not in ("note", "rest", "tie", "chord_end"):
            raise SourceError(f"{token.match[0]!r} stands inside a chord that is not closed")
        getattr(self, f"_read_{token.kind}")(token.match)

    def change_key(self, key: Key) -> None:
        """Set the key from here on; accidentals of the bar so far end."""
        if key != self.key:
            self.key_changes.append((self.now, key))
        self.key = key
        self._accidentals.clear()

    def end_line(self) -> None:
        """Check that nothing is open that cannot go on in the next line."""
        if self._chord is not None:
            raise SourceError("a chord is not closed")

    def finish(self) -> None:
        """Close the last bar."""
        self.end_line()
        if self._broken is not None:
            raise SourceError("the music ends where a broken rhythm awaits a note")
        self.end_bar()

    def end_bar(self) -> None:
        """Close the bar; one without any length counts as none."""
        if self._tuplet_remaining:
            raise SourceError(
                f"a tuplet lacks {self._tuplet_remaining} of its notes at the end of bar {self.bar_number}"
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
        """The number of the bar being read, from 1."""
        return len(self.bars) + 1

    def _read_note(self, match: re.Match[str]) -> None:
        head = self._head(match["accidental"], match["name"], match["marks"])
        length = length_factor(match["length"]) * self.unit
        if self._chord is None:
            self._place([head], length)
        else:
            self._chord.length = self._chord.length or length
            self._chord.heads.append(head)

    def _read_chord(self, match: re.Match[str]) -> None:
        self._chord = _Chord()

    def _read_chord_end(self, match: re.Match[str]) -> None:
        if self._chord is None or self._chord.length is None:
            raise SourceError("']' closes no chord")
        heads, length, self._chord = self._chord.heads, self._chord.length, None
        self._place(heads, length * length_factor(match["chord_length"]))

    def _read_rest(self, match: re.Match[str]) -> None:
        length = length_factor(match["rest_length"]) * self.unit
        if self._chord is None:
            self._place([], length)
        else:
            self._chord.length = self._chord.length or length

    def _read_bars(self, match: re.Match[str]) -> None:
        """Rests of whole bars."""
        if self.metre.is_free:
            raise SourceError(f"{match[0]} rests for whole bars, but the metre is free")
        for left in reversed(range(whole_number(match["count"], 1))):
            self._place([], self.metre.bar)
            if left:
                self.end_bar()

    def _read_spacer(self, match: re.Match[str]) -> None:
        """Only moves what is printed."""

    def _read_ending(self, match: re.Match[str]) -> None:
        """Written order takes every ending once."""

    def _read_mark(self, match: re.Match[str]) -> None:
        if self.now > self._bar_start:
            raise SourceError(f"{match[0]!r} stands inside a bar")

    def _read_bar(self, match: re.Match[str]) -> None:
        self.end_bar()

    def _read_tie(self, match: re.Match[str]) -> None:
        heads = self._chord.heads[-1:] if self._chord else self._last.heads if self._last else []
        if not heads:
            raise SourceError("a tie begins at no note")
        for head in heads:
            head.tied = True
            self._ties[head.natural] = head

    def _read_broken(self, match: re.Match[str]) -> None:
        if self._last is None or not self._may_break or self._broken is not None or len(match[0]) > 3:
            raise SourceError(f"the broken rhythm {match[0]} has no note before it")
        short = Fraction(1, 2 ** len(match[0]))
        factors = (2 - short, short) if match[0][0] == ">" else (short, 2 - short)
        self.now = self._last.onset + (self.now - self._last.onset) * factors[0]
        for head in self._last.heads:
            head.end = self.now
        self._broken = factors[1], self._last.written

    def _read_tuplet(self, match: re.Match[str]) -> None:
        notes, times, group = [*match["numbers"].split(":"), "", ""][:3]
        count = whole_number(notes, 0)
        if self._tuplet_remaining or (not times and not 2 <= count <= 9):
            raise SourceError(
                f"{match[0]} is no tuplet" if not self._tuplet_remaining else "a tuplet stands in a tuplet"
            )
        default = _TUPLET_TIMES.get(count, 3 if self.metre.is_compound else 2)
        self._tuplet_factor = Fraction(whole_number(times, default), count)
        self._tuplet_remaining = whole_number(group, count)

    def _read_overlay(self, match: re.Match[str]) -> None:
        """Go back to the beginning of the bar; accidentals of the other layers do not reach this one."""
        if self._tuplet_remaining or self._broken is not None:
            raise SourceError("an overlay begins where a tuplet or a broken rhythm awaits a note")
        self._layer_ends.append(self.now)
        self.now, self._last = self._bar_start, None
        self._accidentals.clear()

    def _read_extended_overlay(self, match: re.Match[str]) -> None:
        raise SourceError(f"overlays of several bars, {match[0]}, are not understood; write them as voices")

    def _read_grace(self, match: re.Match[str]) -> None:
        for note in grace_notes(match["notes"]):
            self.grace_notes += 1
            self._altered(note.accidental, note.letter, written_pitch(note.letter, note.octave_marks))

    def _head(self, accidental: str | None, letter: str, octave_marks: str) -> Head:
        natural = written_pitch(letter, octave_marks)
        before = self._ties.get(natural)
        continues = before is not None and before.tied and before.end == self.now and before.onset < self.now
        if before is not None and continues and accidental is None:
            altered = before.accidental  # over the bar line, too
        else:
            altered = self._altered(accidental, letter, natural)
        pitch = natural + altered + self.transposition
        if not 0 <= pitch <= _HIGHEST_PITCH:
            raise SourceError(f"the note {letter}{octave_marks} lies beyond all MIDI pitches")
        return Head(self.now, self.now, pitch, natural, altered, continues=continues)

    def _altered(self, accidental: str | None, letter: str, natural: int) -> int:
        """The accidental that holds for a note, which from here on holds for the bar."""
        place = letter.upper() if self.propagation == "pitch" else natural
        if accidental is None:
            return self._accidentals.get(place, self.key.accidentals.get(letter.upper(), 0))
        if self.propagation != "not":
            self._accidentals[place] = ACCIDENTALS[accidental]
        return ACCIDENTALS[accidental]

    def _place(self, heads: list[Head], written: Fraction) -> None:
        """Put a note, chord or rest here and go on behind it."""
        if self._tuplet_remaining:
            written *= self._tuplet_factor
            self._tuplet_remaining -= 1
        length = written
        if self._broken is not None:
            factor, other = self._broken
            if written != other:
                raise SourceError("a broken rhythm joins notes of different lengths")
            length, self._broken = written * factor, None
        self._last, self._may_break = _Group(self.now, written, heads), True
        self.now += length
        if self.now.denominator > _MAX_DENOMINATOR:
            raise SourceError("no tick fits all its rhythms")
        for head in heads:
            head.end = self.now
        if not self.is_percussion:
            self.heads += heads
