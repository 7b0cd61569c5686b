"""Reading of performances and scores, by file suffix."""

from pathlib import Path

from pianogen.errors import PluginError, SourceError
from pianogen.plugins import Extension, extensions
from pianogen.tokens.midi import read_midi
from pianogen.tokens.notes import RawNotes
from pianogen.tokens.scores import read_score

MIDI_SUFFIXES = (".mid", ".midi")
SCORE_SUFFIXES = (".musicxml", ".mxl", ".xml", ".abc", ".krn")


def source_suffixes() -> tuple[str, ...]:
    """The suffixes of all files that can be read, those of plugins included."""
    return (*MIDI_SUFFIXES, *SCORE_SUFFIXES, *_added())


def read_performance(path: Path) -> RawNotes:
    """Read a MIDI file or a score.

    Raises:
        SourceError: The file is missing, of an unknown type, too large, damaged, or holds no notes.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise SourceError(f"{path} is not a file; give a MIDI file or a score")
    if suffix in MIDI_SUFFIXES:
        return read_midi(path)
    if suffix in SCORE_SUFFIXES:
        return read_score(path)
    if suffix in _added():
        return _read_added(path, _added()[suffix])
    raise SourceError(f"{path} has an unknown suffix; known are {', '.join(source_suffixes())}")


def _added() -> dict[str, Extension]:
    return extensions("source format", MIDI_SUFFIXES + SCORE_SUFFIXES)


def _read_added(path: Path, reader: Extension) -> RawNotes:
    try:
        raw = reader.call(path)
    except PluginError as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    if not isinstance(raw, RawNotes):
        raise SourceError(f"cannot read {path}: {reader} returned {type(raw).__name__}, not pianogen.tokens.RawNotes")
    return raw
