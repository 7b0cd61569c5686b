"""Reading of performances and scores, by file suffix."""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from pianogen.errors import PluginError, SourceError
from pianogen.plugins import Extension, extensions
from pianogen.tokens.midi import read_midi
from pianogen.tokens.notes import RawNotes
from pianogen.tokens.scores import read_score

MIDI_SUFFIXES = (".mid", ".midi")
SCORE_SUFFIXES = (".musicxml", ".mxl", ".xml", ".abc", ".krn")
_MAX_TICK = 2**31 - 1  # leaves room for sums and scaling in int64


def source_suffixes() -> tuple[str, ...]:
    """The suffixes of all files that can be read, those of plugins included."""
    return (*MIDI_SUFFIXES, *SCORE_SUFFIXES, *_added())


def find_sources(folder: Path, on_error: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """The MIDI files and scores in a folder and below it, without hidden ones; links to folders are not followed.

    `on_error` is called with the error of a folder that cannot be listed, which is otherwise left out.
    """
    suffixes = source_suffixes()
    for parent, folders, files in os.walk(folder, onerror=on_error):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(suffixes) and not name.startswith("."):
                yield Path(parent, name)


def load_readers(suffixes: Iterable[str]) -> None:
    """Import the plugins' readers of these suffixes, so that one that cannot be imported is not an error of each file.

    Raises:
        PluginError: One cannot be imported.
    """
    for suffix in suffixes:
        if suffix in _added():
            _added()[suffix].load()


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
    broken = _broken_rule(raw)
    if broken:
        raise SourceError(f"cannot read {path}: {reader} returned invalid RawNotes: {broken}")
    return raw


def _broken_rule(raw: RawNotes) -> str | None:
    """The first rule of `RawNotes` that a plugin's reader broke."""
    columns = {"onset": raw.onset, "duration": raw.duration, "pitch": raw.pitch}
    columns |= {} if raw.velocity is None else {"velocity": raw.velocity}
    for name, values in columns.items():
        if not (isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype == np.int64):
            return f"{name} must be an array of int64 with one dimension"
        if len(values) != len(raw.onset):
            return f"{name} has {len(values)} notes and onset has {len(raw.onset)}"
        if len(values) and not 0 <= values.min() <= values.max() <= _MAX_TICK:
            return f"{name} must be between 0 and {_MAX_TICK}"
    if not len(raw):
        return "there are no notes"
    if not (isinstance(raw.ticks_per_quarter, int) and 1 <= raw.ticks_per_quarter <= _MAX_TICK):
        return f"ticks_per_quarter is {raw.ticks_per_quarter!r:.100}, but it must be an integer of at least 1"
    return None if math.isfinite(raw.seconds) else f"seconds is {raw.seconds}"
