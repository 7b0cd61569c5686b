"""ABC files as text for abc2midi: one tune each, without what it plays beyond the written notes."""

import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.score_readers.comparison import Piece
from pianogen.tokens.scores.reader import decode_text

_FIELD = re.compile(r"[A-Za-z+][ \t]*:(?![:|])")
_MIDI_KEPT = re.compile(r"%%\s*(?:MIDI\s+(?:transpose|channel|nobarlines|barlines)|propagate-accidentals)")
_VOICE_NAMES = re.compile(  # abc2midi 4.85 ignores the octave of a clef followed by one of these
    r'\s(?:s|sub)?n(?:ame|m)\s*=\s*(?:"[^"]*"|\S+)|\s(?:middle|stem|stems|space|scale|dyn|lyrics|gstem|merge|cue)\s*=\s*\S+'
)
_SYMBOL = re.compile(
    r'(?P<keep>\[[A-Za-z]:[^\]]*\]|\(\d+(?::\d*)*)|(?P<drop>"(?:[^"\\]|\\.)*"|![^!|\s"]*!|\+[^+|\s"]*\+|\{[^}]*\}|\[\d[\d,.-]*)'
    r"|(?P<bar>(?:\[\||\.?\||:(?=[:|]))[|:\]]*(?:\[?\d+(?:[,.-]\d+)*)?)|(?P<letter>\.(?![-(|])|[~H-WYh-w!])"
)


def tunes_of(path: Path, folder: Path) -> Iterator[Piece]:
    """Write each tune of a file to a file in `folder`."""
    text = decode_text(path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")
    for number, tune in enumerate(re.split(r"(?m)^(?=X[ \t]*:)", text)):
        if number:
            target = folder / "tune.abc"
            target.write_text(tune, encoding="utf-8")
            yield Piece(f"{path}, tune {number}", target)


def cleaned(tune: str) -> str:
    """A tune without repeats, grace notes, decorations and chord symbols, which abc2midi would play."""
    lines: list[str] = []
    in_body = False
    for line in tune.splitlines():
        if in_body and not line.strip():
            break
        if line.startswith("%%") and not _MIDI_KEPT.match(line):
            continue
        line = line if line.startswith("%%") else re.sub(r"(?<!\\)%.*", "", line)
        if _FIELD.match(line) or line.startswith("%%"):
            if line[0] not in "RPwWsHNZTCSBDFGAOdr+":
                lines.append(_VOICE_NAMES.sub("", line).rstrip() if line[0] in "VK" else line)
            if line[0] == "K" and not in_body:
                lines.append("%%MIDI chordattack 0")
                in_body = True
        elif in_body and line.strip():
            lines.append(_SYMBOL.sub(_replacement, line))
    return "\n".join(line for line in lines if line.strip()) + "\n"  # a blank line would end the tune


def _replacement(match: re.Match[str]) -> str:
    if match["keep"]:
        return match[0]
    return " | " if match["bar"] else ""
