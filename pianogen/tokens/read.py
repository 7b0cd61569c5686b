"""Reading of performances and scores, by file suffix."""

from pathlib import Path

from pianogen.errors import SourceError
from pianogen.tokens.midi import read_midi
from pianogen.tokens.notes import RawNotes
from pianogen.tokens.scores import read_score

MIDI_SUFFIXES = (".mid", ".midi")
SCORE_SUFFIXES = (".musicxml", ".mxl", ".xml", ".abc", ".krn")


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
    raise SourceError(f"{path} has an unknown suffix; known are {', '.join(MIDI_SUFFIXES + SCORE_SUFFIXES)}")
