"""An ABC file to the lines of its tune, without comments, typeset text and free text, and with joined continuations."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from pianogen.errors import SourceError

_LINE_END = re.compile(r"\r\n|\n|\r")
_COMMENT = re.compile(r"(?<!\\)%.*")
_FIELD = re.compile(r"([ABCDEFGHIKLMNOPQRSTUVWXZdmrsw+])[ \t]*:(.*)")
_TEXT_FIELDS = frozenset("wWsd+")  # may begin with a bar line; for other letters, `A:|` in a tune's body is music
_HEADER_FIELDS = frozenset("LMQUIm%")  # fields of a file header that affect notes
_MUSIC = re.compile(r"^\[?V:|\|[]|:]*$")  # a voice, or a bar line at the end of a line, in free text
_BLOCK = re.compile(r"%%[ \t]*begin(\w+)", re.IGNORECASE)
DIRECTIVE = "%"


class TuneLine(NamedTuple):
    """One line of a tune."""

    number: int  # in the file, from 1
    kind: str  # the letter of a field, "%" for a directive, "" for music
    text: str


class _TuneText(NamedTuple):
    lines: list[TuneLine]
    has_key: bool


def tune_lines(text: str) -> list[TuneLine]:
    """The lines of the file header that affect notes, and those of the only tune with music.

    Raises:
        SourceError: Not exactly one tune has a key, or a header or free text contains music.
    """
    file_header, tunes = _split(text)
    with_music = [tune for tune in tunes if tune.has_key]
    if len(with_music) > 1:
        raise SourceError(f"it holds {len(with_music)} pieces; save each as a separate file")
    if not with_music:
        raise SourceError("it holds no tune: a tune begins with a field X:, and its music follows a field K:")
    return [*file_header, *_continued(with_music[0].lines)]


def _split(text: str) -> tuple[list[TuneLine], list[_TuneText]]:
    """The file header and the tunes; text between tunes is free text and must not contain music."""
    file_header: list[TuneLine] = []
    tunes: list[_TuneText] = []
    section = "file header"
    for number, content in _without_blocks(text):
        if not content.strip():
            section = "free text" if section != "file header" or file_header else section
            continue
        line = _read_line(number, content, in_body=section == "body")
        if line is None:
            continue
        if section == "free text" and _MUSIC.search(content):
            raise SourceError(f"line {number} looks like music after the blank line that ends the tune")
        if line.kind == "X":
            tunes.append(_TuneText([line], has_key=False))
            section = "header"
        elif section == "file header" and line.kind in _HEADER_FIELDS:
            file_header.append(line)
        elif section in ("header", "body"):
            if line.kind == "" and section == "header":
                if "|" in line.text:
                    raise SourceError(
                        f"line {number} looks like music, but the tune's header continues to its field K:"
                    )
                continue
            if line.kind != "+" or tunes[-1].lines[-1].kind != "":
                tunes[-1].lines.append(line)
            if line.kind == "K" and section == "header":
                tunes[-1] = tunes[-1]._replace(has_key=True)
                section = "body"
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


def _read_line(number: int, content: str, in_body: bool) -> TuneLine | None:
    """Parse a line; None if it is only a comment."""
    if content.startswith("%%"):
        return TuneLine(number, DIRECTIVE, _COMMENT.sub("", content[2:]).strip())
    content = _COMMENT.sub("", content).strip()
    if not content:
        return None
    field = _FIELD.fullmatch(content)
    if field is None or (in_body and field[1] not in _TEXT_FIELDS and field[2][:1] in (":", "|")):
        return TuneLine(number, "", content)
    return TuneLine(number, DIRECTIVE if field[1] == "I" else field[1], field[2].strip())


def _continued(lines: list[TuneLine]) -> Iterator[TuneLine]:
    """Join each +: line to the field before it; after music it continues lyrics, which are ignored."""
    pending, texts = None, list[str]()
    for line in lines:
        if line.kind == "+":
            texts.append(line.text)
            continue
        if pending is not None:
            yield pending._replace(text=" ".join(texts))
        pending, texts = line, [line.text]
    if pending is not None:
        yield pending._replace(text=" ".join(texts))
