"""ABC text to the fields and music lines of its one tune; comments, directives' blocks and free text fall away."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pianogen.errors import SourceError

_FIELD = re.compile(r"([A-Za-z+]):(?![|:])(.*)")  # a music line may begin with `C:|`
_BLOCK = re.compile(r"%%begin(\w+)")
_FILE_HEADER_FIELDS = frozenset("ILMUmQ")  # those before the first tune that hold for every tune


@dataclass(frozen=True)
class Line:
    """A field, a directive (kind %), or a line of music (kind empty)."""

    number: int  # in the file, from 1
    kind: str
    text: str


@dataclass
class Tune:
    """What lies between an X: field and the next empty line."""

    header: list[Line] = field(default_factory=list)  # up to the K: field and including it
    body: list[Line] = field(default_factory=list)

    @property
    def has_music(self) -> bool:
        """Whether the body holds a line of music."""
        return any(line.kind == "" for line in self.body)


def read_tune(text: str) -> Tune:
    """Find the one tune of a file.

    Raises:
        SourceError: There is none, or there are several.
    """
    tunes = [tune for tune in _tunes(text) if tune.has_music]
    if not tunes:
        raise SourceError("it holds no ABC tune: there is no X: field with a K: field and music after it")
    if len(tunes) > 1:
        raise SourceError(f"it holds {len(tunes)} pieces; give each a file of its own")
    return tunes[0]


def _tunes(text: str) -> Iterator[Tune]:
    common: list[Line] = []  # the header of the file
    tune: Tune | None = None
    in_header, before_first = False, True
    for line in _lines(text):
        if line.kind == "X":
            if tune is not None:
                yield tune
            tune, in_header, before_first = Tune(header=list(common)), True, False
        elif line.kind == "" and not line.text.strip():
            if tune is not None and not in_header:
                yield tune
                tune = None
        elif tune is None:
            if before_first and line.kind in (*_FILE_HEADER_FIELDS, "%"):
                common.append(line)
        elif in_header:
            if line.kind:  # anything else goes on with the text of the field before it
                tune.header.append(line)
            in_header = line.kind != "K"
        else:
            tune.body.append(line)
    if tune is not None:
        yield tune


def _lines(text: str) -> Iterator[Line]:
    """Lines with their kind; `+:` lines are joined to the field before them, and music after a `\\` to that music."""
    held: Line | None = None
    for line in _bare_lines(text):
        if line.kind == "+" and held is not None:
            held = Line(held.number, held.kind, f"{held.text} {line.text}")
            continue
        if held is not None and held.kind == line.kind == "" and held.text.endswith("\\") and line.text.strip():
            held = Line(held.number, "", held.text[:-1] + line.text)
            continue
        if held is not None:
            yield held
        held = line
    if held is not None:
        yield held


def _bare_lines(text: str) -> Iterator[Line]:
    block = None
    for number, line in enumerate(text.splitlines(), 1):
        if block is not None:
            block = None if line.startswith(f"%%end{block}") else block
        elif found := _BLOCK.match(line):
            block = found[1]
        elif line.startswith("%%"):
            yield Line(number, "%", line[2:].strip())
        elif not line.lstrip().startswith("%"):  # a comment is not an empty line
            stripped = _without_comment(line)
            if found := _FIELD.fullmatch(stripped):
                yield _directive_or_field(number, found[1], found[2].strip())
            else:
                yield Line(number, "", stripped)


def _directive_or_field(number: int, kind: str, text: str) -> Line:
    return Line(number, "%", text) if kind == "I" else Line(number, kind, text)


def _without_comment(line: str) -> str:
    return re.split(r"(?<!\\)%", line, maxsplit=1)[0].rstrip()
