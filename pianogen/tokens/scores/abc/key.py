"""Keys as the accidentals of each letter, and the properties of clefs and voices that change sounding pitches."""

import re
from dataclasses import dataclass, field, replace

from pianogen.errors import SourceError

NATURAL_PITCHES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}  # semitones above C
ACCIDENTALS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}  # in semitones
_FIFTHS = "FCGDAEB"
_MODES = {
    "": 0,
    "maj": 0,
    "ion": 0,
    "m": -3,
    "min": -3,
    "aeo": -3,
    "mix": -1,
    "dor": -2,
    "phr": -4,
    "lyd": 1,
    "loc": -5,
}
_WORD = re.compile(r"""([A-Za-z_]+)\s*=\s*("[^"]*"|[^\s"]+)|("[^"]*"|\S+)""")
_PROPERTIES = frozenset(  # words before a `=` that name a property; others are part of a key, as in `Dmix=c`
    """
    clef octave transpose sound shift instrument score middle m name nm subname snm sname stem stems gstem dyn lyrics
    merge cue scale staffscale stafflines space gchords map style program bracket brace strings capo tuning
    """.split()  # noqa: SIM905
)
_TONIC = re.compile(r"([A-G])([#b]?)([A-Za-z]*)((?:[_^]+[A-Ga-g])*)")
_ACCIDENTAL = re.compile(r"(\^\^?|__?|=)([A-Ga-g])")
_CLEF = re.compile(
    r"(?:treble|alto|tenor|bass|baritone|soprano|mezzosoprano|mezzo|none|perc|auto|[GFCP])\d?(?:([+-])(8|15)(?:va|vb)?|[\^_](?:8|15))?"
)
_SEMITONES = re.compile(r"[+-]?\d{1,3}")
_SOUND_NOTE = re.compile(r"(\^\^?|__?|=)?([A-Ga-g])([,']*)")


@dataclass(frozen=True)
class Key:
    """The accidental of each letter, in semitones; missing letters are natural."""

    accidentals: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Properties:
    """Properties of a K: or V: field that affect sounding notes; None for those not set."""

    clef_octaves: int | None = None
    octaves: int | None = None
    transpose: int | None = None  # semitones
    percussion: bool | None = None

    def over(self, other: "Properties") -> "Properties":
        """The properties set here, and those of `other` for the rest."""
        return replace(other, **{name: value for name, value in vars(self).items() if value is not None})

    def semitones(self) -> int:
        """Semitones from the written to the sounding pitch.

        Raises:
            SourceError: Both the clef and octave= set octaves; programs differ on whether they add up.
        """
        if self.clef_octaves and self.octaves:
            raise SourceError("both the clef and octave= transpose the voice by octaves; use one of them")
        return 12 * ((self.clef_octaves or 0) + (self.octaves or 0)) + (self.transpose or 0)


def read_key(text: str) -> tuple[Key | None, Properties]:
    """The value of a K: field; the key is None if the field only has properties.

    Raises:
        SourceError: The mode or another word is unknown.
    """
    properties, words = read_properties(text)
    if not words:
        return (Key() if not text.strip() else None), properties
    tonic = _TONIC.fullmatch(words[0])
    first, rest = words[0], words[1:]
    if first.lower() in ("hp", "none", "exp"):
        base = {"F": 1, "C": 1} if first.lower() == "hp" else {}
    elif _ACCIDENTAL.fullmatch(first):
        base, rest = {}, words
    elif tonic:
        mode = tonic[3]
        if not mode and rest and _is_mode(rest[0]):
            mode, rest = rest[0], rest[1:]
        base = _signature(tonic[1], tonic[2], mode)
        rest = [tonic[4], *rest] if tonic[4] else rest
    else:
        raise SourceError(f"K:{text} is not a key such as G or Am")
    return Key({**base, **_explicit(text, rest)}), properties


def read_properties(text: str) -> tuple[Properties, list[str]]:
    """Clef, octave, transposition and percussion, and the remaining words.

    Raises:
        SourceError: A value is not a number, note or clef.
    """
    found, words = Properties(), []
    for match in _WORD.finditer(text):
        name, value = (match[1] or "").lower(), (match[2] or match[3]).strip('"')
        if name and name not in _PROPERTIES:
            words += [match[1], f"={match[2]}"]  # such as `D mix =c`
            continue
        clef = _CLEF.fullmatch(value)
        if name == "clef" and clef is None:
            raise SourceError(f"clef={value} is not a clef")
        if name == "clef" or (not name and clef and not match[3].startswith('"') and len(value) > 1):
            octaves = int(f"{clef[1]}{1 if clef[2] == '8' else 2}") if clef and clef[1] else 0
            found = replace(found, clef_octaves=octaves, percussion=value.startswith("perc"))
        elif name == "octave":
            found = replace(found, octaves=_number(name, value))
        elif name == "transpose":
            found = replace(found, transpose=_number(name, value))
        elif name in ("sound", "shift", "instrument"):
            found = replace(found, transpose=_sounding_shift(name, value))
        elif not name and not match[3].startswith('"'):
            words.append(match[3])
    return found, words


def _is_mode(word: str) -> bool:
    return word != "M" and word.lower()[:3] in _MODES  # M is ambiguous: major or minor


def _signature(letter: str, accidental: str, mode: str) -> dict[str, int]:
    """The accidentals of a key; with more than seven, some letters are altered twice."""
    if not _is_mode(mode):
        raise SourceError(f"{mode!r} is not a mode such as maj, min or dor")
    sharps = _FIFTHS.index(letter) - 1 + {"#": 7, "b": -7}.get(accidental, 0) + _MODES[mode.lower()[:3]]
    count = abs(sharps)
    order, sign = (_FIFTHS, 1) if sharps > 0 else (_FIFTHS[::-1], -1)
    return {name: sign * (count // 7 + (index < count % 7)) for index, name in enumerate(order)}


def _explicit(text: str, words: list[str]) -> dict[str, int]:
    accidentals = {}
    for word in words:
        if word.lower() == "exp":
            continue
        found = list(_ACCIDENTAL.finditer(word))
        if not found or "".join(match[0] for match in found) != word:
            raise SourceError(f"K:{text} holds {word!r}, which is not a mode, accidental or clef")
        accidentals.update({match[2].upper(): ACCIDENTALS[match[1]] for match in found})
    return accidentals


def _number(name: str, value: str) -> int:
    if not _SEMITONES.fullmatch(value):
        raise SourceError(f"{name}={value} is not a whole number of at most three digits")
    return int(value)


def _sounding_shift(name: str, value: str) -> int:
    """Semitones by which sound=, shift= or instrument= transpose; instrument= counts from c."""
    notes = list(_SOUND_NOTE.finditer(value.replace("/", "")))
    if "".join(note[0] for note in notes) != value.replace("/", "") or len(notes) not in (1, 2):
        raise SourceError(f"{name}={value} is not a pair of notes")
    pitches = [written_pitch(note[2], note[3]) + ACCIDENTALS.get(note[1], 0) for note in notes]
    if name == "instrument":
        return pitches[-1] - 72
    if len(pitches) == 1:
        raise SourceError(f"{name}={value} needs two notes")
    return pitches[1] - pitches[0]


def written_pitch(letter: str, octave_marks: str) -> int:
    """The MIDI number of a natural note; C is middle C, c is an octave above."""
    octaves = octave_marks.count("'") - octave_marks.count(",") + letter.islower()
    return 60 + NATURAL_PITCHES[letter.upper()] + 12 * octaves
