"""Lines of music to notes: every character means something that is known, or the tune is refused.

Reference: The ABC music standard 2.1, section 4.
"""

import re
from collections.abc import Callable
from fractions import Fraction

from pianogen.errors import SourceError
from pianogen.tokens.scores.abc.fields import ALTERATIONS
from pianogen.tokens.scores.abc.voice import Head, Voice

_LENGTH = r"\d*(?:/\d*)*"
_NOTE = rf"(?P<sign>\^\^|__|\^|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>{_LENGTH})"
_HEAD = re.compile(rf"{_NOTE}\s*(?P<tie>-?)")
_TOKEN = re.compile(
    rf"""
      (?P<field>\[[A-Za-z]:[^\]]*\])
    | (?P<chord>\[(?=[^\]\d|:])(?P<heads>(?:"[^"]*"|[^\]"])*)\](?P<times>{_LENGTH}))
    | (?P<bar>(?:\[\||:*\|+|::+)[\]|:]*\s*(?:\[?\d[\d,.\-]*|\[(?="))?|\[\d[\d,.\-]*)
    | (?P<microtone>[\^_]+\d*/\d*[A-Ga-g]|[\^_]\d+[A-Ga-g])
    | (?P<note>{_NOTE})
    | (?P<multirest>[ZX](?P<bars>\d*))
    | (?P<rest>[zx](?P<rest_length>{_LENGTH}))
    | y{_LENGTH}
    | (?P<tuplet>\((?P<p>\d+)(?::(?P<q>\d*))?(?::(?P<r>\d*))?)
    | (?P<broken>>+|<+)
    | (?P<tie>-)
    | (?P<overlay>&)
    | (?P<grace>\{{(?P<graces>[^}}]*)\}})
    | "[^"]*"
    | (?P<octave_line>!(?:8va|8vb|15ma|15mb)[()]?!)
    | ![^!\s|\[\]"]*!|\+[a-z0-9.<>()]{{2,}}\+|[.~H-Wh-w]
    | [\s`$\\)*;]+|[!:]|=(?:20)?\s*$|\((?!\d)
    """,
    re.VERBOSE,
)


def read_music(text: str, voice: Voice, on_field: Callable[[str, str], Voice]) -> Voice:
    """Add a line of music to a voice; `on_field` takes inline fields and says which voice goes on. Returns that voice.

    Raises:
        SourceError: A character or a number has no meaning in ABC.
        InconsistentScoreError: The layers of a bar do not last equally long.
    """
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise SourceError(f"{text[at : at + 12]!r} has no meaning in ABC")
        at = found.end()
        if found["field"]:
            voice = on_field(found["field"][1], found["field"][3:-1].strip())
        else:
            _take(found, voice)
    return voice


def _take(found: re.Match[str], voice: Voice) -> None:
    if found["note"]:
        head = _head(found, voice)
        voice.add([head], head.length)
    elif found["chord"]:
        _take_chord(found["heads"], _multiplier(found["times"]), voice)
    elif found["rest"]:
        voice.add([], _multiplier(found["rest_length"]) * voice.unit)
    elif found["bar"]:
        voice.end_bar()
    elif found["multirest"]:
        voice.rest_for_bars(int(found["bars"] or 1))
    elif found["tuplet"]:
        voice.begin_tuplet(int(found["p"]), _whole(found["q"]), _whole(found["r"]))
    elif found["broken"]:
        voice.break_rhythm(len(found["broken"]) * (1 if found["broken"][0] == ">" else -1))
    elif found["tie"]:
        voice.tie()
    elif found["overlay"]:
        voice.begin_overlay()
    elif found["grace"]:
        voice.grace_notes += len(re.findall("[A-Ga-g]", found["graces"]))
    elif found["microtone"]:
        raise SourceError(f"{found['microtone']!r} is a microtone, which no key of a piano plays")
    elif found["octave_line"]:
        raise SourceError(f"{found['octave_line']} has no sure meaning in ABC; write the octaves out")


def _whole(text: str | None) -> int | None:
    return int(text) if text else None


def _multiplier(text: str) -> Fraction:
    """A length such as 3, /, //, /4 or 3/2, in unit lengths."""
    digits, *halvings = text.split("/")
    length = Fraction(int(digits or 1))
    for divisor in halvings:
        length /= int(divisor or 2) or 1000
    if not 0 < length <= 1000:
        raise SourceError(f"{text!r} is not a length")
    return length


def _head(found: re.Match[str], voice: Voice) -> Head:
    letter, octave = found["letter"], found["octave"].count("'") - found["octave"].count(",")
    return Head(
        letter=letter.upper(),
        octave=octave + letter.islower(),
        alteration=ALTERATIONS[found["sign"]] if found["sign"] else None,
        length=_multiplier(found["length"]) * voice.unit,
    )


def _take_chord(text: str, multiplier: Fraction, voice: Voice) -> None:
    """Notes struck together; the chord lasts as long as its first note, and each note as long as is written."""
    bare = re.sub(rf'"[^"]*"|![^!\s]*!|\+[a-z]{{2,}}\+|\{{[^}}]*\}}|[zx]{_LENGTH}', " ", text)
    heads, tied, at = [], [], 0
    for found in _HEAD.finditer(bare):
        if re.sub(r"[\s.~H-Wh-w`()]", "", bare[at : found.start()]):
            raise SourceError(f"'[{text}]' is not a chord")
        if found["tie"]:
            tied.append(len(heads))
        heads.append(_head(found, voice))
        at = found.end()
    if not heads or re.sub(r"[\s.~H-Wh-w`()]", "", bare[at:]):
        raise SourceError(f"'[{text}]' is not a chord")
    voice.add(heads, heads[0].length, multiplier)
    if tied:
        voice.tie(tied)
