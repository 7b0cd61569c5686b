"""Metre, unit note length and tempo: the fields M:, L: and Q:."""

import re
from fractions import Fraction
from typing import NamedTuple

from pianogen.errors import SourceError

_SIGNATURE = re.compile(r"\(?\s*(\d{1,3}(?:\s*\+\s*\d{1,3})*)\s*\)?\s*/\s*(\d{1,3})(?!\d)")
_UNIT = re.compile(r"1(?:\s*/\s*(\d{1,3}))?")
_QUOTED = re.compile(r'"[^"]*"?')
_BEATS = re.compile(r"\s*\d{1,3}/\d{1,3}(?:[\s,+]+\d{1,3}/\d{1,3})*\s*")
_BEAT = re.compile(r"(\d{1,3})/(\d{1,3})")
_UNITS = re.compile(r"\s*[A-Ga-g](\d{0,3})(?:/(\d{0,3}))?\s*")
_PER_MINUTE = re.compile(r"\s*(?:ca\.?\s*|c\.\s*|~\s*)?(\d{1,4}(?:\.\d{1,4})?)(?![\d.])\s*")


class Metre(NamedTuple):
    """A time signature; 0 beats for free metre."""

    beats: int = 0
    beat_unit: int = 4

    @property
    def is_free(self) -> bool:
        """Whether bars have no fixed length."""
        return self.beats == 0

    @property
    def is_compound(self) -> bool:
        """Whether it is a compound metre such as 6/8, 9/8 or 12/8."""
        return self.beats > 3 and self.beats % 3 == 0

    @property
    def bar_quarters(self) -> Fraction:
        """Length of a bar, in quarters."""
        return Fraction(4 * self.beats, self.beat_unit)


def read_metre(text: str) -> Metre:
    """The value of an M: field.

    Raises:
        SourceError: The text is not a metre.
    """
    if text.lower() in ("", "none", "free"):
        return Metre()
    if text.startswith("C|"):
        return Metre(2, 2)
    if text.startswith("C"):
        return Metre(4, 4)
    signature = _SIGNATURE.match(text)
    if signature is None:
        raise SourceError(f"M:{text} is not a metre such as 3/4")
    beats, unit = sum(int(part) for part in signature[1].split("+")), int(signature[2])
    if not beats or unit not in (1, 2, 4, 8, 16, 32, 64, 128):
        raise SourceError(f"M:{text} is not a metre such as 3/4")
    return Metre(beats, unit)


def read_unit(text: str) -> Fraction:
    """The value of an L: field, in quarters.

    Raises:
        SourceError: The text is neither 1 nor 1/n.
    """
    unit = _UNIT.match(text)
    if unit is None or int(unit[1] or 1) not in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
        raise SourceError(f"L:{text} is not a note length such as 1/8")
    return Fraction(4, int(unit[1] or 1))


def default_unit(metre: Metre) -> Fraction:
    """The unit note length, in quarters, of a tune without L:."""
    return Fraction(1, 4) if not metre.is_free and metre.bar_quarters < 3 else Fraction(1, 2)


def read_tempo(text: str, unit: Fraction) -> float | None:
    """The value of a Q: field, in quarters per minute; None if it is only quoted text.

    A number alone counts quarters, as in abc2midi; `C=` counts unit note lengths.

    Raises:
        SourceError: The value is neither quoted text nor a tempo.
    """
    beats, equals, per_minute = _QUOTED.sub(" ", text).rpartition("=")
    if not (beats + per_minute).strip():
        return None
    number = _PER_MINUTE.match(per_minute)
    length = _beat_length(beats, unit) if equals else Fraction(1)
    if number is None or length is None or not 0 < float(number[1]) * length < 10_000:
        raise SourceError(f"Q:{text} is not a tempo such as 1/4=120")
    return float(number[1]) * float(length)


def _beat_length(text: str, unit: Fraction) -> Fraction | None:
    """The length of a beat, in quarters."""
    if _BEATS.fullmatch(text):
        beats = [(int(numerator), int(denominator)) for numerator, denominator in _BEAT.findall(text)]
        if any(denominator == 0 for _, denominator in beats):
            return None
        return sum((Fraction(4 * numerator, denominator) for numerator, denominator in beats), Fraction(0))
    units = _UNITS.fullmatch(text)
    if units is None or int(units[2] or 1) == 0:
        return None
    divisor = 1 if units[2] is None else int(units[2] or 2)
    return unit * int(units[1] or 1) / divisor
