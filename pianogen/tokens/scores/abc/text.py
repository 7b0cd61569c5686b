"""An ABC file to the lines of its one tune: comments, continuations, typeset text and free text are settled here."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from pianogen.errors import SourceError

_LINE_END = re.compile(r"\r\n|\n|\r")
_COMMENT = re.compile(r"(?<!\\)%.*")
_FIELD = re.compile(r"([ABCDEFGHIKLMNOPQRSTUVWXZdmrsw+])[ \t]*:(.*)")
_TEXT_FIELDS = frozenset("wWsd+")  # may begin with a bar line; elsewhere in a tune's body `A:|` is music
_HEADER_FIELDS = frozenset("LMQUIm%")  # those of a file header that bear on notes
_MUSIC = re.compile(r"^\[?V:|\|[]|:]*$")  # in free text: a voice, or a bar line at the end of a line
_BLOCK = re.compile(r"%%[ \t]*begin(\w+)", re.IGNORECASE)
DIRECTIVE = "%"


class Line(NamedTuple):
    """One line of a tune."""

    number: int  # in the file, from 1
    kind: str  # the letter of a field, "%" for a directive, "" for music
    text: str


class _Tune(NamedTuple):
    lines: list[Line]
    has_key: bool


def tune_lines(text: str) -> list[Line]:
    """The lines of the only tune that has music, behind those of the file header that bear on it.

    Raises:
        SourceError: No tune has a key, or several have; music stands in a header or in free text.
    """
    file_header, tunes = _split(text)
    with_music = [tune for tune in tunes if tune.has_key]
    if len(with_music) > 1:
        raise SourceError(f"it holds {len(with_music)} pieces; give each a file of its own")
    if not with_music:
        raise SourceError("it holds no tune, which begins with a field X: and has its music behind a field K:")
    return [*file_header, *_continued(with_music[0].lines)]


def _split(text: str) -> tuple[list[Line], list[_Tune]]:
    """The file header and every tune; the text between tunes is free text, in which music is a mistake."""
    file_header: list[Line] = []
    tunes: list[_Tune] = []
    place = "file header"
    for number, content in _without_blocks(text):
        if not content.strip():
            place = "free text" if place != "file header" or file_header else place
            continue
        line = _read_line(number, content, in_body=place == "body")
        if line is None:
            continue
        if place == "free text" and _MUSIC.search(content):
            raise SourceError(f"line {number} looks like music behind the blank line that ends a tune")
        if line.kind == "X":
            tunes.append(_Tune([line], has_key=False))
            place = "header"
        elif place == "file header" and line.kind in _HEADER_FIELDS:
            file_header.append(line)
        elif place in ("header", "body"):
            if line.kind == "" and place == "header":
                if "|" in line.text:
                    raise SourceError(
                        f"line {number} looks like music, but the tune's header goes on until its field K:"
                    )
                continue
            if line.kind != "+" or tunes[-1].lines[-1].kind != "":
                tunes[-1].lines.append(line)
            if line.kind == "K" and place == "header":
                tunes[-1] = tunes[-1]._replace(has_key=True)
                place = "body"
    return file_header, tunes


def _without_blocks(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines, without those from %%beginX to %%endX."""
    end: re.Pattern[str] | None = None
    for number, content in enumerate(_LINE_END.split(text.lstrip("\ufeff")), start=1):
        if end is not None:
            end = None if end.match(content) else end
        elif block := _BLOCK.match(content):
            end = re.compile(rf"%%[ \t]*end{block[1]}", re.IGNORECASE)
        else:
            yield number, content


def _read_line(number: int, content: str, in_body: bool) -> Line | None:
    """None for a line that is all comment."""
    if content.startswith("%%"):
        return Line(number, DIRECTIVE, _COMMENT.sub("", content[2:]).strip())
    content = _COMMENT.sub("", content).strip()
    if not content:
        return None
    field = _FIELD.fullmatch(content)
    if field is None or (in_body and field[1] not in _TEXT_FIELDS and field[2][:1] in (":", "|")):
        return Line(number, "", content)
    return Line(number, DIRECTIVE if field[1] == "I" else field[1], field[2].strip())


def _continued(lines: list[Line]) -> Iterator[Line]:
    """Lines with each +: joined to the field before it; behind music it continues lyrics, which do not matter."""
    line, texts = None, list[str]()
    for one in lines:
        if one.kind == "+":
            texts.append(one.text)
            continue
        if line is not None:
            yield line._replace(text=" ".join(texts))
        line, texts = one, [one.text]
    if line is not None:
        yield line._replace(text=" ".join(texts))
