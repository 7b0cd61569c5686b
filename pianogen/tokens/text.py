"""Token streams as text, for `pianogen tokens`."""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from pianogen.config import TokenizerConfig
from pianogen.errors import SourceError, TokenError
from pianogen.tokens.codec import decode
from pianogen.tokens.engrave import write_musicxml
from pianogen.tokens.limited_file import read_limited
from pianogen.tokens.midi import write_midi
from pianogen.tokens.notes import QuantisationReport
from pianogen.tokens.read import MIDI_SUFFIXES
from pianogen.tokens.vocab import ids_of, words_of

MAX_TEXT_BYTES = 64 * 2**20  # as for a MIDI file
MAX_ID_DIGITS = 18  # fits 64 bits; the grammar refuses shorter numbers outside the vocabulary


def format_tokens(ids: Int[np.ndarray, " T"], *, as_ids: bool) -> str:
    """Format tokens on one line, as words or as ids."""
    return " ".join(map(str, ids.tolist()) if as_ids else words_of(ids))


def format_report(report: QuantisationReport) -> str:
    """Format the counts that are not 0 on one line."""
    percent = report.percent()
    changes = [
        f"{count:,} {name.replace('_', ' ')} ({percent[name]:.1f} %)"
        for name, count in vars(report).items()
        if count and name not in ("read", "kept")
    ]
    return f"{report.kept:,} of {report.read:,} notes kept" + (f"; {', '.join(changes)}" if changes else "")


def decode_file(path: Path, target: Path, config: TokenizerConfig) -> int:
    """Decode a text file of words or ids into a MIDI or MusicXML file, by its suffix; return the number of notes.

    Raises:
        SourceError: The text file cannot be read, or the target's suffix is unknown.
        TokenError: A word is unknown or breaks the grammar; the message names its position.
    """
    notes = decode(read_ids(path))
    suffix = target.suffix.lower()
    if suffix in MIDI_SUFFIXES:
        write_midi(notes, target, steps_per_quarter=config.steps_per_quarter)
    elif suffix in (".musicxml", ".xml"):
        write_musicxml(notes, target, steps_per_quarter=config.steps_per_quarter)
    else:
        raise SourceError(f"--to {target} has an unknown suffix; use .mid, .midi, .musicxml or .xml")
    return len(notes)


def read_ids(path: Path) -> Int[np.ndarray, " T"]:
    """Read a text file of words or of ids.

    Raises:
        SourceError: The file is missing, too large, empty or not UTF-8.
        TokenError: A word is unknown; the message names its position.
    """
    try:
        words = read_limited(path, MAX_TEXT_BYTES).decode("utf-8").split()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not a text file of words: {error}") from error
    if not words:
        raise SourceError(f"{path} is empty; it must hold words such as xxbos xxpad n60 d4 xxeos, or their ids")
    if not all(word.removeprefix("-").isdecimal() for word in words):
        return ids_of(words)
    longest = max(range(len(words)), key=lambda index: len(words[index]))
    if len(words[longest]) > MAX_ID_DIGITS:
        raise TokenError(f"token {longest} is {words[longest][:40]}, which is not in the vocabulary")
    return np.array([int(word) for word in words], dtype=np.int64)
