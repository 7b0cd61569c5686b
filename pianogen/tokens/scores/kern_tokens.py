"""One **kern token: its duration and the notes of its chord.

The notes of a chord are separated by spaces. The duration of the first is that of the token, and it decides whether all
are grace notes; the others may omit their duration or have a different one. A duration is a reciprocal of a whole note:
4 is a quarter, 0 a breve, 00 a long, 3%2 two thirds of a whole note; each dot adds half of what the previous one added.

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
_SHOWN = 40  # characters of a token shown in a message
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_MIDDLE_C = 60  # MIDI number of the pitch c; C is an octave below


class KernNote(NamedTuple):
    """One note of a token."""

    pitch: int
    quarters: Fraction  # 0 for a grace note
    tied_from_previous: bool
    tied_to_next: bool


class KernToken(NamedTuple):
    """The contents of one cell of a **kern spine."""

    quarters: Fraction  # until the next token; 0 for grace notes
    notes: tuple[KernNote, ...]  # none for a rest
    is_grace: bool


@lru_cache(maxsize=65536)
def parse_token(text: str) -> KernToken:
    """Parse a token that is not null.

    Raises:
        SourceError: A note has no duration, or more than one duration or pitch.
    """
    first, *others = [note for note in _TREMOLO.sub("", text).split(" ") if note] or [""]
    if not first:
        raise SourceError(f"'{text[:_SHOWN]}' holds no note")
    if _is_grace(first):
        notes = [parsed for note in (first, *others) for parsed in _notes(note, Fraction(0))]
        return KernToken(Fraction(0), tuple(notes), is_grace=True)
    if any(map(_is_grace, others)):
        raise SourceError(f"'{text[:_SHOWN]}' mixes grace notes and other notes in a chord")
    quarters = _quarters(first)
    if quarters is None:
        raise SourceError(f"'{text[:_SHOWN]}' has no duration")
    notes = _notes(first, quarters)
    for note in others:
        notes += _notes(note, _chord_note_quarters(note, quarters))
    return KernToken(quarters, tuple(notes), is_grace=False)


def _chord_note_quarters(note: str, quarters: Fraction) -> Fraction:
    """The duration of a further note of a chord, by default `quarters`; no other check would find a misplaced dot."""
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
    num_dots = note.count(".")  # some files write them after the pitch
    if len(found) > 1 or max(len(digits), len(numerator), num_dots) > _MAX_LENGTH:
        raise SourceError(f"'{note[:_SHOWN]}' has no valid duration")
    whole_notes = Fraction(2 ** len(digits)) if set(digits) == {"0"} else Fraction(1, int(digits))
    whole_notes *= int(numerator or 1)
    if not whole_notes:
        raise SourceError(f"'{note[:_SHOWN]}' has duration 0")
    return 4 * whole_notes * (2 - Fraction(1, 2**num_dots))


def _before_pitch(note: str) -> str:
    """The part of a note that holds its duration; digits after the pitch are editorial marks."""
    pitch = None if _is_silent(note) else _PITCH.search(note)
    return note[: pitch.start()] if pitch else note


def _notes(note: str, quarters: Fraction) -> list[KernNote]:
    found = _PITCH.findall(note)
    if _is_silent(note) or not found:  # a duration without a pitch is a rest
        return []
    if len(found) > 1:
        raise SourceError(f"'{note[:_SHOWN]}' holds {len(found)} pitches; a note has one")
    # an accidental may precede the pitch, or follow a sign such as an accent
    pitch = _pitch(found[0], note.count("#") - note.count("-"))
    if pitch is None:
        raise SourceError(f"'{note[:_SHOWN]}' has no MIDI pitch")
    return [KernNote(pitch, quarters, "]" in note or "_" in note, "[" in note or "_" in note)]


def _is_silent(note: str) -> bool:
    """Whether the note is a rest or unpitched percussion."""
    return "r" in note or "R" in note


def _pitch(letters: str, alteration: int) -> int | None:
    if len(set(letters)) > 1:
        return None
    step = _STEPS[letters[0].lower()]
    octave = len(letters) - 1 if letters.islower() else -len(letters)
    pitch = _MIDDLE_C + step + 12 * octave + alteration
    return pitch if 0 <= pitch <= 127 else None
