"""Values of single MusicXML elements; None if a value is invalid.

Reference: MusicXML 4.0, https://www.w3.org/2021/06/musicxml40/.
"""

import math
import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple
from xml.etree.ElementTree import Element

from pianogen.tokens.scores.written import Tie

_DECIMAL = re.compile(r"[+-]?(\d{1,12}(\.\d{0,12})?|\.\d{1,12})", re.ASCII)
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_BEAT_UNITS = {
    **{"maxima": Fraction(32), "long": Fraction(16), "breve": Fraction(8), "whole": Fraction(4), "half": Fraction(2)},
    **{"quarter": Fraction(1), "eighth": Fraction(1, 2), "16th": Fraction(1, 4), "32nd": Fraction(1, 8)},
    **{f"{length}th": Fraction(4, length) for length in (64, 128, 256, 512, 1024)},
}
_HIGHEST_OCTAVE = 9
_MAX_ALTERATION = 12  # semitones
_MAX_TRANSPOSITION = 120  # semitones, about the range of MIDI numbers
_MAX_DOTS = 8


class Transposition(NamedTuple):
    """The interval from the written to the sounding pitch."""

    semitones: Fraction
    doubling: int  # semitones from the sounding note to its octave doubling; 0 for none


@lru_cache(maxsize=4096)
def decimal(text: str) -> Fraction | None:
    """The exact value of an xs:decimal."""
    return Fraction(text) if _DECIMAL.fullmatch(text) else None


def semitones(pitch: Element) -> Fraction | None:
    """The MIDI number of a <pitch>, fractional for microtones."""
    step, alter, octave = (_text(pitch, name) for name in ("step", "alter", "octave"))
    return _semitones(step, alter or "0", octave)


@lru_cache(maxsize=4096)
def _semitones(step: str, alter: str, octave: str) -> Fraction | None:
    alteration, height = decimal(alter), decimal(octave)
    if step not in _STEPS or alteration is None or abs(alteration) > _MAX_ALTERATION:
        return None
    if height is None or height not in range(_HIGHEST_OCTAVE + 1):
        return None
    return 12 * (height + 1) + _STEPS[step] + alteration


def transposition(transpose: Element) -> Transposition | None:
    """The interval of a <transpose>; its <diatonic> only affects spelling."""
    chromatic, octaves = (decimal(_text(transpose, name) or "0") for name in ("chromatic", "octave-change"))
    if chromatic is None or octaves is None or octaves.denominator != 1:
        return None
    if abs(chromatic) + 12 * abs(octaves) > _MAX_TRANSPOSITION:
        return None
    double = transpose.find("double")
    doubling = 0 if double is None else 12 if double.get("above") == "yes" else -12
    return Transposition(chromatic + 12 * octaves, doubling)


def tie_of(note: Element) -> Tie | None:
    """The sounding tie (<tie>) or else the printed one (<tied>); let-ring is not a tie."""
    kinds = {tie.get("type") for tie in note.iterfind("tie")}
    if not kinds:
        kinds = {tied.get("type") for tied in note.iterfind("notations/tied")}
    if "continue" in kinds or {"start", "stop"} <= kinds:
        return "continue"
    return "start" if "start" in kinds else "stop" if "stop" in kinds else None


def time_signature(time: Element) -> tuple[int, int] | None:
    """Numerator and denominator; 3+2/8 is 5/8, and 2/4 + 3/8 is 7/8. None without bars (senza misura)."""
    beats = [_sum(element.text) for element in time.iterfind("beats")]
    units = [_sum(element.text) for element in time.iterfind("beat-type")]
    if not beats or len(beats) != len(units) or 0 in beats or 0 in units:
        return None
    denominator = math.lcm(*units)
    return sum(count * (denominator // unit) for count, unit in zip(beats, units, strict=True)), denominator


def _sum(text: str | None) -> int:
    """3+2 as 5; 0 if the text is not a sum of numbers."""
    numbers = [number.strip() for number in (text or "").split("+")]
    if not all(re.fullmatch(r"\d{1,4}", number, re.ASCII) for number in numbers):
        return 0
    return sum(map(int, numbers))


def sound_tempo(sound: Element) -> float | None:
    """Quarters per minute of a <sound>, if it states a tempo."""
    return _positive(decimal((sound.get("tempo") or "").strip()))


def metronome(mark: Element) -> float | None:
    """Quarters per minute of a <metronome> with a number; None if it relates two lengths, or says "about 120"."""
    unit = _BEAT_UNITS.get(_text(mark, "beat-unit"))
    dots = len(mark.findall("beat-unit-dot"))
    per_minute = decimal(_text(mark, "per-minute"))
    if unit is None or per_minute is None or dots > _MAX_DOTS or mark.find("beat-unit-tied") is not None:
        return None
    return _positive(per_minute * unit * (2 - Fraction(1, 2**dots)))


def _positive(quarters_per_minute: Fraction | None) -> float | None:
    return float(quarters_per_minute) if quarters_per_minute else None


def _text(parent: Element, name: str) -> str:
    return (parent.findtext(name) or "").strip()
