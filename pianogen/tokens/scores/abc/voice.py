"""One voice of a tune: notes at their times, with all that a position in the music depends on."""

from dataclasses import dataclass, field
from fractions import Fraction

from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.scores.abc.fields import NATURAL, Key, Metre
from pianogen.tokens.scores.written import WrittenNote

_MIDDLE_C = 60


@dataclass(frozen=True)
class Head:
    """A note as it is written; its octave counts from that of middle C."""

    letter: str
    octave: int
    alteration: int | None
    length: Fraction  # in quarters


@dataclass
class _Tuplet:
    """How many notes are still to come, and by what their lengths are multiplied."""

    left: int
    factor: Fraction


@dataclass
class Voice:
    """Notes of one voice, bar by bar, and its state."""

    part: int
    unit: Fraction = Fraction(1, 2)
    """The unit note length, in quarters."""
    metre: Metre | None = None
    key: dict[str, int] = field(default_factory=dict)
    octave: int = 0
    semitones: int = 0
    played_semitones: int = 0
    """What %%MIDI transpose adds."""
    percussion: bool = False
    propagation: str = "pitch"
    """How far an accidental holds within its bar: not, octave (its octave alone), or pitch (all octaves)."""
    notes: list[WrittenNote] = field(default_factory=list)
    bars: list[Fraction] = field(default_factory=list)
    """Lengths of the bars that are over, in quarters."""
    grace_notes: int = 0
    position: Fraction = Fraction(0)
    """From the beginning of the tune, in quarters."""
    _bar_start: Fraction = Fraction(0)
    _overlay_end: Fraction | None = None  # of the layers of this bar that are over
    _accidentals: dict[tuple[str, int | None], int] = field(default_factory=dict)
    _held: dict[tuple[str, int, Fraction], int] = field(default_factory=dict)  # tied: alteration by letter, octave, end
    _last: list[int] = field(default_factory=list)  # indices in `notes` of the last chord
    _last_heads: list[Head] = field(default_factory=list)
    _last_length: Fraction = Fraction(0)
    _has_last: bool = False  # whether something that lasts precedes in this bar
    _next_factor: Fraction = Fraction(1)  # of the second half of a broken rhythm
    _partner: Fraction | None = None  # the length of its first half as written
    _tuplet: _Tuplet | None = None

    def set_key(self, key: Key) -> None:
        """Take what a K: or V: field sets."""
        if key.alterations is not None:
            self.key = key.alterations
        self.octave = self.octave if key.octave is None else key.octave
        self.semitones = self.semitones if key.semitones is None else key.semitones
        self.percussion = self.percussion if key.percussion is None else key.percussion

    @property
    def shift(self) -> int:
        """Semitones from what is written to what sounds."""
        return self.semitones + self.played_semitones

    def add(self, heads: list[Head], length: Fraction, multiplier: Fraction = Fraction(1)) -> None:
        """Add a chord, or a rest if it has no heads; the next one begins `length` later."""
        factor = multiplier * self._factor(length * multiplier)
        self._last, self._last_heads, self._last_length = [], heads, length * factor
        for head in heads:
            pitch = self._pitch(head)
            if not self.percussion:
                self._last.append(len(self.notes))
                end = self.position + head.length * factor
                self.notes.append(WrittenNote(self.position, end, pitch, part=self.part))
        self.position += length * factor
        self._has_last = True

    def _factor(self, length: Fraction) -> Fraction:
        """What a tuplet and a broken rhythm multiply the next length by."""
        factor, broken, partner = Fraction(1), self._next_factor, self._partner
        if self._tuplet is not None:
            factor = self._tuplet.factor
            self._tuplet.left -= 1
            if self._tuplet.left == 0:
                self._tuplet = None
        self._next_factor, self._partner = Fraction(1), None
        if partner is not None and partner != length * factor:
            raise SourceError(
                "a broken rhythm (< or >) stands between notes of unequal lengths, which has no sure meaning"
            )
        return factor * broken

    def _pitch(self, head: Head) -> int:
        """The sounding pitch, with the accidentals that hold here."""
        where = head.letter, head.octave if self.propagation == "octave" else None
        if head.alteration is not None:
            alteration = head.alteration
            if self.propagation != "not":
                self._accidentals[where] = alteration
        else:
            tied = self._held.get((head.letter, head.octave, self.position))
            alteration = self._accidentals.get(where, self.key.get(head.letter, 0)) if tied is None else tied
        pitch = _MIDDLE_C + NATURAL[head.letter] + 12 * (head.octave + self.octave) + alteration + self.shift
        if not 0 <= pitch <= 127:
            raise SourceError(f"a note has MIDI number {pitch}; it must be from 0 to 127")
        return pitch

    def tie(self, heads: list[int] | None = None) -> None:
        """Tie the last chord, or only these of its notes, to what follows."""
        for order in range(len(self._last)) if heads is None else heads:
            index = self._last[order] if order < len(self._last) else None
            if index is None:
                continue
            self.notes[index] = note = self.notes[index]._replace(tie="start")
            head = self._last_heads[order]
            natural = _MIDDLE_C + NATURAL[head.letter] + 12 * (head.octave + self.octave) + self.shift
            self._held[head.letter, head.octave, note.end] = note.pitch - natural

    def break_rhythm(self, dots: int) -> None:
        """Lengthen the last chord by 1/2, 3/4 ... of itself and shorten the next; negative `dots` do the reverse.

        Raises:
            SourceError: Nothing precedes in this bar.
        """
        if not self._has_last or self._next_factor != 1:
            raise SourceError("a broken rhythm (< or >) has no note before it")
        short = Fraction(1, 2 ** abs(dots))
        first, self._next_factor = (2 - short, short) if dots > 0 else (short, 2 - short)
        start, self._partner = self.position - self._last_length, self._last_length
        for index in self._last:
            note = self.notes[index]
            self.notes[index] = note._replace(end=start + (note.end - start) * first)
        self._last_length *= first
        self.position = start + self._last_length

    def begin_tuplet(self, notes: int, time: int | None, count: int | None) -> None:
        """Play the next `count` notes, `notes` of them in the time of `time`.

        Raises:
            SourceError: It stands inside another, or has no sure meaning.
        """
        if self._tuplet is not None:
            raise SourceError("a tuplet stands inside a tuplet, which is not supported")
        if time is None:
            if notes in (5, 7, 9) and self.metre is not None and self.metre.numerator == 3:
                raise SourceError(f"({notes} has no sure meaning in this metre; write ({notes}:2 or ({notes}:3")
            compound = 3 if self.metre is not None and self.metre.is_compound else 2
            time = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(notes, compound)
        if notes < 1 or time < 1 or count == 0 or max(notes, time, count or 1) > 1000:
            raise SourceError(f"({notes}:{time}:{count} is not a tuplet")
        self._tuplet = _Tuplet(notes if count is None else count, Fraction(time, notes))

    def rest_for_bars(self, count: int) -> None:
        """Rest for whole bars.

        Raises:
            SourceError: There is no metre, or the rest is not at the beginning of a bar.
        """
        if self.metre is None or not 0 < count <= 10_000:
            raise SourceError(f"a rest of {count} bars has no length here")
        if self.position != self._bar_start:
            raise SourceError("a rest of whole bars stands inside a bar")
        for index in range(count):
            self.add([], self.metre.bar)
            if index < count - 1:
                self.end_bar()

    def begin_overlay(self) -> None:
        """Go back to the beginning of the bar for another layer."""
        self._end_layer()
        self._overlay_end, self.position = self.position, self._bar_start
        self._accidentals, self._has_last = {}, False

    def end_bar(self) -> None:
        """End the bar; an empty one, as between two bar lines, is none.

        Raises:
            InconsistentScoreError: A layer of the bar is shorter or longer than the others.
        """
        self._end_layer()
        self._overlay_end = None
        self._accidentals, self._has_last = {}, False
        self._held = {at: alteration for at, alteration in self._held.items() if at[2] >= self.position}
        if self.position > self._bar_start:
            self.bars.append(self.position - self._bar_start)
            self._bar_start = self.position

    def _end_layer(self) -> None:
        if self._next_factor != 1:
            raise SourceError("a broken rhythm (< or >) has no note after it in its bar")
        if self._overlay_end is not None and self._overlay_end != self.position:
            first, second = self._overlay_end - self._bar_start, self.position - self._bar_start
            raise InconsistentScoreError(
                f"bar {len(self.bars) + 1}: its layers last {first} and {second} quarters, but must last equally long"
            )
