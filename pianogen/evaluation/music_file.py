"""Files of music on the grid of a model: which files a user names, their tokens, and when their notes begin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Int16

from pianogen.config import TokenizerConfig
from pianogen.errors import SourceError, TokenError
from pianogen.files import sha256_of
from pianogen.tokens import (
    Notes,
    QuantisationReport,
    RawNotes,
    encode,
    find_sources,
    quantise,
    read_performance,
    source_suffixes,
)
from pianogen.tokens.metre import bar_steps, plausible_metre

Failure = SourceError | TokenError  # why a file could not be read


@dataclass(frozen=True, eq=False)
class MusicFile:
    """A MIDI file or score, read with a model's tokenizer."""

    path: Path
    sha256: str
    raw: RawNotes
    notes: Notes
    report: QuantisationReport
    steps_per_quarter: int

    @classmethod
    def read(cls, path: Path, tokenizer: TokenizerConfig) -> "MusicFile":
        """Read a file.

        Raises:
            SourceError: It is missing, of an unknown type, damaged, or no note of it can be used.
        """
        raw = read_performance(path)
        notes, report = quantise(raw, tokenizer)
        if not len(notes):
            raise SourceError(f"{path} has no notes from A0 to C8 that the grid can hold")
        return cls(path, sha256_of(path), raw, notes, report, tokenizer.steps_per_quarter)

    @cached_property
    def ids(self) -> Int16[np.ndarray, " T"]:
        """The file as tokens."""
        return encode(self.notes)

    @property
    def bar_steps(self) -> float:
        """Steps in a bar of the file's first time signature, or of 4/4 if that is missing or implausible."""
        return bar_steps(plausible_metre(self.raw.time_signature), self.steps_per_quarter)

    def seconds_at(self, steps: Int[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Times of steps of the grid, by the file's tempo marks."""
        ticks = steps * (self.raw.ticks_per_quarter / self.steps_per_quarter)
        return self.raw.tempo_map.seconds_of(ticks, self.raw.ticks_per_quarter)

    def bars_at(self, steps: Int[np.ndarray, " N"]) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """Bars of steps of the grid, and the beats in them, both from 1; a beat is a quarter note."""
        bar, step = np.divmod(steps, self.bar_steps)
        return bar.astype(np.int64) + 1, step / self.steps_per_quarter + 1


def find_files(names: Sequence[Path | str]) -> Iterator[Path | SourceError]:
    """The files named, and those in the folders named and below them; each once, or why there is none.

    Hidden files, and files in folders that are neither MIDI nor scores, are left out.
    """
    seen: set[Path] = set()
    for path in map(Path, names):
        found = sorted(find_sources(path)) if path.is_dir() else [path]
        if not found:
            yield SourceError(f"folder {str(path)!r} has no MIDI file or score ({' '.join(source_suffixes())})")
        for file in found:
            if (same := file.resolve()) not in seen:
                seen.add(same)
                yield file


def read_all(names: Sequence[Path | str], tokenizer: TokenizerConfig) -> tuple[list[MusicFile], list[Failure]]:
    """Read the files that can be read, and say why the others cannot."""
    read, failed = [], []
    for found in find_files(names):
        try:
            if isinstance(found, SourceError):
                raise found
            read.append(MusicFile.read(found, tokenizer))
        except OSError as error:
            failed.append(SourceError(f"cannot read {found}: {error.strerror or error}"))
        except (SourceError, TokenError) as error:
            failed.append(error)
    return read, failed
