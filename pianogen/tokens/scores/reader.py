"""A score file of any format to sounding notes: all parts merged, sounding pitch, tied notes joined.

Grace notes and ornaments are left out, the former counted; repeats are not expanded; chords are their notes; chord
symbols and percussion are left out. A score whose bars contradict each other is refused.
"""

from pathlib import Path

from pianogen.errors import SourceError
from pianogen.tokens.notes import RawNotes
from pianogen.tokens.scores.abc import parse_abc
from pianogen.tokens.scores.kern import parse_kern
from pianogen.tokens.scores.musicxml import parse_musicxml
from pianogen.tokens.scores.mxl import unpack
from pianogen.tokens.scores.written import WrittenScore, sounding_notes

MAX_SCORE_BYTES = 32 * 2**20  # unpacked


def read_score(path: Path) -> RawNotes:
    """Read a MusicXML, ABC or kern file.

    Raises:
        SourceError: It is missing, too large, broken, holds several pieces, or no notes.
        InconsistentScoreError: Its notation contradicts itself; the message names the bar.
    """
    try:
        return sounding_notes(_parse(_read_bytes(path), path.suffix.lower()))
    except SourceError as error:
        raise type(error)(f"{path} cannot be used: {error}") from error


def _parse(data: bytes, suffix: str) -> WrittenScore:
    if suffix == ".krn":
        return parse_kern(_decode(data))
    if suffix == ".abc":
        return parse_abc(_decode(data))
    return parse_musicxml(unpack(data, MAX_SCORE_BYTES))


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_SCORE_BYTES:
            raise SourceError(f"it has {size} bytes; a score may have at most {MAX_SCORE_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"it cannot be read: {error.strerror or error}") from error
    if not data:
        raise SourceError("it is empty")
    return data


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # what older encodings of folk tunes and chorales mostly are
