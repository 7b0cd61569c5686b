"""Values of the fields of a tune: unit length, metre, tempo, key, and what voices and clefs do to pitches.

Reference: The ABC music standard 2.1, sections 3.1 and 4.6.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from pianogen.errors import SourceError

LETTERS = "CDEFGAB"
NATURAL = dict(zip(LETTERS, (0, 2, 4, 5, 7, 9, 11), strict=True))  # semitones above C
ALTERATIONS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_SHARPS, _FLATS = "FCGDAEB", "BEADGCF"
_TONIC_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_MODE_FIFTHS = {"maj": 0, "ion": 0, "min": -3, "aeo": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5}
_KEY = re.compile(r"([A-G])([#b]?)\s*(maj|min|mix|m|dor|phr|lyd|loc|ion|aeo)?[a-z]*(?=\s|$|[\^_=])", re.IGNORECASE)
_OPTION_NAMES = (
    "clef|octave|transpose|t|middle|m|stafflines|staffscale|score|sound|shift|name|nm|subname|sname|snm|instrument|stem|"
    "style|gchord|cue|merge|dyn|lyrics|map|program"
)
_OPTION = re.compile(rf'(?:^|(?<=\s))({_OPTION_NAMES})\s*=\s*("[^"]*"|\S+)')
_EXPLICIT = re.compile(r"(?<![\w=])(\^\^|__|\^|_|=)([A-Ga-g])(?=\s|$|[\^_=])")
_OCTAVE_CLEF = re.compile(r"(?:^|[\s=\"])(?:treble|alto|tenor|bass|soprano|mezzosoprano|baritone|[GFC])\d?([+-])8\b")
_PERCUSSION = re.compile(r"(?:^|\s|clef=\"?)perc\b|clef=\"?P\b")


@dataclass(frozen=True)
class Metre:
    """A time signature; `bar` is its length in quarters."""

    numerator: int
    denominator: int

    @property
    def bar(self) -> Fraction:
        """Length of a full bar, in quarters."""
        return Fraction(4 * self.numerator, self.denominator)

    @property
    def is_compound(self) -> bool:
        """Whether its beats divide by three, which decides how long some tuplets are."""
        return self.numerator % 3 == 0 and self.numerator > 3 and self.denominator >= 8


@dataclass(frozen=True)
class Key:
    """What a K: or V: field sets; None and absent entries leave what was set before."""

    alterations: dict[str, int] | None = None  # by letter
    octave: int | None = None
    semitones: int | None = None
    percussion: bool | None = None


def parse_metre(text: str) -> Metre | None:
    """A metre, or None for free metre.

    Raises:
        SourceError: It is not a metre.
    """
    text = text.strip()
    if text in ("", "none"):
        return None
    if text.startswith("C"):
        return Metre(2, 2) if text.startswith("C|") else Metre(4, 4)
    found = re.match(r"\(?\s*(\d+(?:\s*\+\s*\d+)*)\s*\)?\s*/\s*(\d+)", text)
    numerator = sum(int(part) for part in found[1].split("+")) if found else 0
    if found is None or not 0 < numerator < 1000 or not 0 < int(found[2]) < 1000:
        raise SourceError(f"'M:{text}' is not a metre")
    return Metre(numerator, int(found[2]))


def parse_unit(text: str) -> Fraction:
    """The unit note length, in quarters.

    Raises:
        SourceError: It is not a length.
    """
    found = re.match(r"(\d+)(?:\s*/\s*(\d+))?", text.strip())
    length = Fraction(int(found[1]), int(found[2] or 1) or 1000) if found else Fraction(0)
    if not 0 < length <= 4:
        raise SourceError(f"'L:{text}' is not a unit note length")
    return 4 * length


def default_unit(metre: Metre | None) -> Fraction:
    """The unit where no L: field sets one: a sixteenth for metres below 3/4, else an eighth; in quarters."""
    return Fraction(1, 4) if metre is not None and metre.bar < 3 else Fraction(1, 2)


def parse_tempo(text: str, unit: Fraction) -> float | None:
    """Quarters a minute, or None where the field holds only words."""
    text = re.sub(r'"[^"]*"', " ", text).strip()
    beats, _, pace = text.rpartition("=")
    found = re.match(r"\d+(?:\.\d+)?", pace.strip())
    if not found:
        return None
    lengths = [Fraction(int(a), int(b)) * 4 for a, b in re.findall(r"(\d+)/(\d+)", beats) if int(b)]
    if not lengths:  # a bare number, or C and its multiples, count unit lengths
        multiple = re.search(r"[A-Ga-g](\d*)", beats)
        lengths = [unit * int(multiple[1] or 1 if multiple else 1)]
    quarters_per_minute = float(sum(lengths) * Fraction(found[0]))
    return quarters_per_minute if quarters_per_minute > 0 else None


def parse_key(text: str) -> Key:
    """What a K: field sets.

    Raises:
        SourceError: The key is unknown, or what it asks for has no sure meaning.
    """
    options = parse_clef(text)
    bare = _OPTION.sub(" ", text).strip()
    explicit = {letter.upper(): ALTERATIONS[sign] for sign, letter in _EXPLICIT.findall(bare)}
    found = _KEY.match(bare)
    if bare.startswith(("HP", "Hp")):
        signature = {"F": 1, "C": 1}  # pipe music sounds so, whether the signature is printed or not
    elif found:
        signature = {} if re.search(r"\bexp\b", bare) else _signature(found)
    elif not bare or re.match(r"none\b", bare) or _is_clef(bare) or bare.startswith("exp") or explicit:
        if not bare.startswith(("none", "exp")) and not explicit and (bare or options != Key()):
            return options  # only a clef: the key stays
        signature = {}
    else:
        raise SourceError(f"'K:{text}' is not a key")
    return Key({**signature, **explicit}, options.octave, options.semitones, options.percussion)


def parse_clef(text: str) -> Key:
    """What the clef and the options of a K: or V: field do to pitches.

    Raises:
        SourceError: An option is not a number, or has no sure meaning.
    """
    options = {name: value.strip('"') for name, value in _OPTION.findall(text)}
    for name in ("score", "sound", "shift"):
        if name in options:
            raise SourceError(f"'{name}={options[name]}' transposes in a way that is not supported")
    octave_clef = _OCTAVE_CLEF.search(text)
    octave, semitones = options.get("octave"), options.get("transpose", options.get("t"))
    shift = None if octave is None else number("octave", octave)
    if octave_clef:
        shift = (shift or 0) + (1 if octave_clef[1] == "+" else -1)
    return Key(
        octave=shift,
        semitones=None if semitones is None else number("transpose", semitones),
        percussion=True if _PERCUSSION.search(text) else None,
    )


def number(name: str, value: str) -> int:
    """A whole number of at most three digits.

    Raises:
        SourceError: It is not one.
    """
    if not re.fullmatch(r"[+-]?\d{1,3}", value):
        raise SourceError(f"'{name}={value}' is not a number")
    return int(value)


def _is_clef(bare: str) -> bool:
    return re.match(r"(treble|bass|alto|tenor|perc|soprano|mezzosoprano|baritone|clef|none)", bare) is not None


def _signature(found: re.Match[str]) -> dict[str, int]:
    """Alterations by letter of a tonic and a mode."""
    tonic, sign, mode = found[1].upper(), found[2], (found[3] or "maj").lower()
    fifths = _TONIC_FIFTHS[tonic] + 7 * {"#": 1, "b": -1, "": 0}[sign] + _MODE_FIFTHS["min" if mode == "m" else mode]
    order, step = (_SHARPS, 1) if fifths > 0 else (_FLATS, -1)
    alterations = dict.fromkeys(LETTERS, 0)
    for index in range(abs(fifths)):
        alterations[order[index % 7]] += step
    return {letter: value for letter, value in alterations.items() if value}
