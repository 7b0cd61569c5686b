"""`pianogen tokens`: a performance as words on one line, and words back into a file."""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from pianogen.config import TokenizerConfig
from pianogen.errors import SourceError, TokenError
from pianogen.tokens.codec import decode, tokenize
from pianogen.tokens.engrave import write_musicxml
from pianogen.tokens.midi import write_midi
from pianogen.tokens.notes import QuantisationReport
from pianogen.tokens.read import read_performance
from pianogen.tokens.vocab import ids_of, words_of

MAX_TEXT_BYTES = 64 * 2**20  # as for a MIDI file
MAX_ID_DIGITS = 18  # more would not fit 64 bits; the grammar refuses smaller numbers that are no word


def encode_file(path: Path, config: TokenizerConfig) -> tuple[Int[np.ndarray, " T"], QuantisationReport]:
    """Read and tokenize one performance or score.

    Raises:
        SourceError: It is missing, broken, or no note of it is left.
    """
    ids, report = tokenize(read_performance(path), config)
    return ids, report


def line_of(ids: Int[np.ndarray, " T"], *, as_ids: bool) -> str:
    """Write tokens on one line, as words or as numbers."""
    return " ".join(map(str, ids.tolist()) if as_ids else words_of(ids))


def report_line(report: QuantisationReport) -> str:
    """Say what the grid changed, leaving out what did not happen."""
    percent = report.percent()
    changes = [
        f"{count:,} {name.replace('_', ' ')} ({percent[name]:.1f} %)"
        for name, count in vars(report).items()
        if count and name not in ("read", "kept")
    ]
    return f"{report.kept:,} of {report.read:,} notes kept" + (f"; {', '.join(changes)}" if changes else "")


def decode_file(path: Path, target: Path, config: TokenizerConfig) -> int:
    """Write a text of words or ids as a MIDI or MusicXML file, by the target's suffix; return the number of notes.

    Raises:
        SourceError: The text cannot be read, or the target's suffix is neither.
        TokenError: A word is unknown or breaks the grammar; the message names its position.
    """
    notes = decode(ids_in(path))
    suffix = target.suffix.lower()
    if suffix in (".mid", ".midi"):
        write_midi(notes, target, steps_per_quarter=config.steps_per_quarter)
    elif suffix in (".musicxml", ".xml"):
        write_musicxml(notes, target, steps_per_quarter=config.steps_per_quarter)
    else:
        raise SourceError(f"--to {target} has an unknown suffix; .mid, .midi, .musicxml and .xml can be written")
    return len(notes)


def ids_in(path: Path) -> Int[np.ndarray, " T"]:
    """Read a text of words, or of numbers."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
        words = data.decode("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read as a text of words: {error}") from error
    if len(data) > MAX_TEXT_BYTES:
        raise SourceError(f"{path} has more than {MAX_TEXT_BYTES} bytes, the most that a text of words may have")
    if not words:
        raise SourceError(f"{path} is empty; it must hold words such as xxbos xxpad n60 d4 xxeos, or their ids")
    if not all(word.removeprefix("-").isdecimal() for word in words):
        return ids_of(words)
    longest = max(range(len(words)), key=lambda index: len(words[index]))
    if len(words[longest]) > MAX_ID_DIGITS:
        raise TokenError(f"token {longest} is {words[longest][:40]}, which is not in the vocabulary")
    return np.array([int(word) for word in words], dtype=np.int64)
