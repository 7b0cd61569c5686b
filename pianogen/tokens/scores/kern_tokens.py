"""One **kern token: its duration and the note heads of its chord.

A chord's notes stand between spaces. The first says when the next token of the spine begins, and whether all are grace
notes; the others may leave their duration out, or have one of their own. A duration is the part of a whole note:
4 is a quarter, 0 a breve, 00 a long, 3%2 two thirds of a whole note; each dot adds half of what the last one added.

Reference: Huron, The Humdrum Toolkit: Reference Manual (1994), **kern and **recip.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from pianogen.errors import SourceError

_TREMOLO = re.compile("@+[0-9]+@+")  # strokes through a stem, not a duration
_DURATION = re.compile(r"([0-9]+)(?:%([0-9]+))?")
_PITCH = re.compile("[a-gA-G]+")
_MAX_LENGTH = 6  # digits or dots of one duration
_SHOWN = 40  # characters of a token in a message
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_MIDDLE_C = 60  # MIDI number of the pitch c; C is an octave below


class Head(NamedTuple):
    """A note head; a note that is tied at both ends continues and is bound to go on."""

    pitch: int
    quarters: Fraction  # 0 for a grace note
    continues: bool  # a tie leads to it
    goes_on: bool  # a tie leads from it


class Token(NamedTuple):
    """What stands in one cell of a **kern spine."""

    quarters: Fraction  # until the next token; 0 for grace notes
    heads: tuple[Head, ...]  # none for a rest
    is_grace: bool


@lru_cache(maxsize=65536)
def parse_token(text: str) -> Token:
    """Read a token that is not null.

    Raises:
        SourceError: It holds no duration, or more than one duration or pitch a note.
    """
    notes = _TREMOLO.sub("", text).split(" ")
    notes = [note for note in notes if note]
    if not notes:
        raise SourceError(f"'{text[:_SHOWN]}' holds no note")
    if _is_grace(notes[0]):
        return Token(Fraction(0), tuple(head for note in notes for head in _heads(note, Fraction(0))), is_grace=True)
    if any(map(_is_grace, notes)):
        raise SourceError(f"'{text[:_SHOWN]}' is a chord of grace notes and others")
    quarters = _quarters(notes[0])
    if quarters is None:
        raise SourceError(f"'{text[:_SHOWN]}' has no duration")
    heads = tuple(
        head for note in notes for head in _heads(note, quarters if note is notes[0] else _own(note, quarters))
    )
    return Token(quarters, heads, is_grace=False)


def _own(note: str, quarters: Fraction) -> Fraction:
    """How long a further note of a chord lasts; nothing checks it, so a dot must stand where it belongs."""
    if re.search(r"\.(?<![0-9.]\.)", note):
        raise SourceError(f"'{note[:_SHOWN]}' has a dot that does not follow its duration")
    return _quarters(note) or quarters


def _is_grace(note: str) -> bool:
    return "q" in note or "Q" in note


def _quarters(note: str) -> Fraction | None:
    found = _DURATION.findall(_before_pitch(note)) or _DURATION.findall(note)
    if not found:
        return None
    digits, numerator = found[0]
    num_dots = note.count(".")  # some stand behind the pitch
    if len(found) > 1 or max(len(digits), len(numerator), num_dots) > _MAX_LENGTH:
        raise SourceError(f"'{note[:_SHOWN]}' has no readable duration")
    whole_notes = Fraction(2 ** len(digits)) if set(digits) == {"0"} else Fraction(1, int(digits))
    whole_notes *= int(numerator or 1)
    if not whole_notes:
        raise SourceError(f"'{note[:_SHOWN]}' lasts no time")
    return 4 * whole_notes * (2 - Fraction(1, 2**num_dots))


def _before_pitch(note: str) -> str:
    """Where the duration stands; digits that follow a pitch are marks of an edition."""
    pitch = None if _is_silent(note) else _PITCH.search(note)
    return note[: pitch.start()] if pitch else note


def _heads(note: str, quarters: Fraction) -> list[Head]:
    found = _PITCH.findall(note)
    if _is_silent(note) or not found:  # without a pitch it takes its time in silence
        return []
    if len(found) > 1:
        raise SourceError(f"'{note[:_SHOWN]}' holds {len(found)} pitches; a note holds one")
    # an accidental may stand before the pitch, or behind a sign such as an accent
    pitch = _pitch(found[0], note.count("#") - note.count("-"))
    if pitch is None:
        raise SourceError(f"'{note[:_SHOWN]}' has no MIDI pitch")
    return [Head(pitch, quarters, "]" in note or "_" in note, "[" in note or "_" in note)]


def _is_silent(note: str) -> bool:
    """Whether it is a rest, or has no pitch, as percussion."""
    return "r" in note or "R" in note


def _pitch(letters: str, alteration: int) -> int | None:
    if len(set(letters)) > 1:
        return None
    step = _STEPS[letters[0].lower()]
    octave = len(letters) - 1 if letters.islower() else -len(letters)
    pitch = _MIDDLE_C + step + 12 * octave + alteration
    return pitch if 0 <= pitch <= 127 else None
