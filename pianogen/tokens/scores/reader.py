"""A score file of any format to sounding notes: all parts merged, sounding pitch, tied notes joined.

Grace notes (which are counted), ornaments, chord symbols and percussion are left out; repeats are not expanded.
A score whose bars contradict each other is refused.
"""

from pathlib import Path

from pianogen.errors import SourceError
from pianogen.tokens.limited_file import read_limited
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
        SourceError: The file is missing, too large, damaged, or holds several pieces or no notes.
        InconsistentScoreError: Its notation contradicts itself; the message names the bar.
    """
    data = read_limited(path, MAX_SCORE_BYTES)
    try:
        return sounding_notes(_parse(data, path.suffix.lower()))
    except SourceError as error:
        raise type(error)(f"{path} cannot be used: {error}") from error


def decode_text(data: bytes) -> str:
    """Decode UTF-8, or else Latin-1, the encoding of most older ABC and kern files."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _parse(data: bytes, suffix: str) -> WrittenScore:
    if not data:
        raise SourceError("it is empty")
    if suffix == ".krn":
        return parse_kern(decode_text(data))
    if suffix == ".abc":
        return parse_abc(decode_text(data))
    return parse_musicxml(unpack(data, MAX_SCORE_BYTES))
