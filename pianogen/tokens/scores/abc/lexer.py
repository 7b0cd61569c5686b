"""A music line to tokens. Every pattern runs in linear time, and every character belongs to a token."""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from pianogen.errors import SourceError

_LENGTH = r"[0-9]*(?:/[0-9]*)*"
_TOKENS = {
    "space": r"[\s`$#*;?@]+|\\$",  # includes characters that the standard reserves and tells readers to ignore
    "annotation": r'"(?:[^"\\]|\\.)*"',
    "field": r"\[(?P<letter>[A-Za-z]):(?P<value>[^\]]*)\]",
    "note": rf"(?P<accidental>\^\^?|__?|=)?(?P<name>[A-Ga-g])(?P<marks>[,']*)(?P<length>{_LENGTH})",
    "rest": rf"[zx](?P<rest_length>{_LENGTH})",
    "bars": r"[ZX](?P<count>[0-9]*)",
    "spacer": rf"y{_LENGTH}",
    "bar": r"(?:\[\||\.?\||:(?=[:|]))[|:\]]*(?:\[?[0-9]+(?:[,.-][0-9]+)*)?",
    "ending": r"\[[0-9]+(?:[,.-][0-9]+)*",
    "chord": r"\[",
    "chord_end": rf"\](?P<chord_length>{_LENGTH})",
    "broken": r">+|<+",
    "tie": r"\.?-",
    "extended_overlay": r"\(&|&\)|&&",
    "overlay": r"&",
    "tuplet": r"\((?P<numbers>[0-9]+(?::[0-9]*){0,2})",
    "slur": r"\.?\(|\)",
    "mark": r":|[0-9]+(?:[,.-][0-9]+)*\.?",  # of a repeat or an ending, separate from its bar line
    "grace": r"\{(?P<notes>[^{}]*)\}",
}
_TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _TOKENS.items()))
_DECORATION = re.compile(r"([!+])([^!+]*)\1")
_SHORT_DECORATIONS = frozenset(".~HLMOPSTuv'")
_FREE_SYMBOL = re.compile(r"""[H-Wh-w](?=[A-Ga-gzx^_=\[({".~HLMOPSTuv!])""")
_LIKE_MUSIC = re.compile(r"(?=.*[A-Ga-gzx])[A-Ga-gzx0-9/,'^_=<>()\-]+")
_NAMED_LIKE_MUSIC = frozenset(["f", "ff", "fff", "ffff", "<", ">", "<(", "<)", ">(", ">)", "^", *"0123456789"])
_GRACE_NOTE = re.compile(rf"(?P<accidental>\^\^?|__?|=)?(?P<name>[A-Ga-g])(?P<marks>[,']*){_LENGTH}")
_GRACE_REST = re.compile(r"""[\s/\[\]()<>.~HLMOPSTuvz0-9yx-]|"[^"]*"|![^!]*!""")
_MUSIC_BETWEEN = re.compile(r"[|\s\"]")
_MAX_DIGITS = 4
_MAX_DENOMINATOR = 2**16


class AbcToken(NamedTuple):
    """A token of a music line; `match` has its parts as named groups."""

    kind: str
    match: re.Match[str]


class GraceNote(NamedTuple):
    """A note between braces: it is silent, but its accidental applies to the bar."""

    accidental: str | None
    letter: str
    octave_marks: str


def lex(line: str, symbols: frozenset[str], lone_exclamation: bool) -> Iterator[AbcToken]:
    """The tokens of a line that affect notes or time.

    `symbols` are the letters defined by U: fields. With `lone_exclamation`, ! is a line break and does not enclose
    decorations.

    Raises:
        SourceError: A character is not allowed at its position; the message has its column.
    """
    position = 0
    while position < len(line):
        match = None if line[position] in symbols else _TOKEN.match(line, position)
        if match is None:
            position = _after_decoration(line, position, symbols, lone_exclamation)
        else:
            position = match.end()
            kind = match.lastgroup  # the outermost group
            if kind is not None and kind not in ("space", "annotation", "slur"):
                yield AbcToken(kind, match)


@lru_cache(maxsize=1024)
def length_factor(text: str) -> Fraction:
    """The length after a note, in unit note lengths: `3/2`, `/4`, or slashes that each halve.

    Raises:
        SourceError: The length is 0, or has a number of more than four digits.
    """
    numerator, *divisors = text.split("/")
    factor = Fraction(whole_number(numerator, 1))
    for divisor in divisors:
        factor /= whole_number(divisor, 2)
        if factor.denominator > _MAX_DENOMINATOR:
            raise SourceError(f"the length {text!r} is implausibly short")
    return factor


def whole_number(text: str, default: int) -> int:
    """A positive number of at most four digits.

    Raises:
        SourceError: The number is 0 or has more digits.
    """
    if len(text) > _MAX_DIGITS or (text and int(text) == 0):
        raise SourceError(f"{text} is not a length; it must be from 1 to 9999")
    return int(text) if text else default


def grace_notes(text: str) -> list[GraceNote]:
    """The notes between a pair of braces.

    Raises:
        SourceError: A character is not allowed in grace notes.
    """
    found: list[GraceNote] = []
    position = 0
    while position < len(text):
        match = _GRACE_NOTE.match(text, position)
        if match:
            found.append(GraceNote(match["accidental"], match["name"], match["marks"]))
        else:
            match = _GRACE_REST.match(text, position)
        if match is None:
            raise SourceError(f"{text[position]!r} is not allowed in the grace notes {{{text[:40]}}}")
        position = match.end()
    return found


def _after_decoration(line: str, position: int, symbols: frozenset[str], lone_exclamation: bool) -> int:
    """The position after a decoration or an old-style line break."""
    character = line[position]
    if character in symbols or character in _SHORT_DECORATIONS:
        return position + 1
    if _FREE_SYMBOL.match(line, position):
        return position + 1  # an undefined decoration; in text, more letters would follow
    if character == "!" and lone_exclamation:
        return position + 1
    if character in "!+":
        match = _DECORATION.match(line, position)
        if match and match[2] not in _NAMED_LIKE_MUSIC and _LIKE_MUSIC.fullmatch(match[2]):
            raise SourceError(f"{match[0]} is ambiguous: it may be music or an unknown decoration")
        if match and not _MUSIC_BETWEEN.search(match[2]):
            return match.end()
        if character == "!":
            return position + 1  # the line break of older files
    raise SourceError(f"{character!r} is not allowed in column {position + 1}")
