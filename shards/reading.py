"""Read one source file into token streams, or say why it cannot be used."""

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Int

from pianogen.config import TokenizerConfig
from pianogen.errors import SourceError
from pianogen.tokens import MIDI_SUFFIXES, RawNotes, read_midi, read_performance, tokenize
from pianogen.tokens.vocab import FIRST_NOTE, SEP
from shards.similarity import signature
from shards.sources import SourceFile


@dataclass(frozen=True)
class ReadingConfig:
    """The settings that decide how one file is read."""

    tokenizer: TokenizerConfig
    tempo_variants: tuple[float, ...]
    max_file_mb: float
    max_notes: int
    signatures: bool  # also compute the signature of each melody, where the composition is not known
    tempo_marks: bool = False  # also list the tempo marks


@dataclass(frozen=True)
class SpooledTokens:
    """The tokens of one performance at one tempo, in a spool file."""

    tempo: float  # factor; above 1 is faster
    spool: str
    offset: int  # in bytes
    num_tokens: int
    num_notes: int  # encoded
    lowest_pitch: int
    highest_pitch: int
    digest: str  # of the tokens: equal for the same notes


@dataclass(frozen=True)
class Reading:
    """The result for one source file: token streams, or the reason why it is dropped."""

    index: int  # in the collection
    reason: str | None = None
    inconsistent: bool = False  # the reason is that the score contradicts itself
    sha256: str | None = None
    seconds: float = 0.0
    time_signature: tuple[int, int] | None = None
    report: dict[str, int] | None = None
    signature: tuple[int, ...] | None = None
    tempo_marks: tuple[tuple[float, float], ...] | None = None  # step of the grid, quarters per minute
    streams: tuple[SpooledTokens, ...] = ()

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Reading":
        """The inverse of `dataclasses.asdict` and JSON."""
        value["streams"] = tuple(SpooledTokens(**stream) for stream in value["streams"])
        for name in ("time_signature", "signature"):
            value[name] = tuple(value[name]) if value[name] is not None else None
        if marks := value.get("tempo_marks"):
            value["tempo_marks"] = tuple((step, tempo) for step, tempo in marks)
        return cls(**value)


def load(source: SourceFile, max_bytes: int) -> bytes:
    """Read the file's bytes, at most `max_bytes`.

    Raises:
        SourceError: It is missing, not a regular file, or too large.
    """
    try:
        if source.member is not None:
            archive = _archive(source.path)
            size = archive.getinfo(source.member).file_size
            data = b"" if size > max_bytes else archive.read(source.member)
        else:
            path = Path(source.path)
            if not path.is_file():
                raise SourceError("is not a regular file" if path.exists() else "is missing")
            size = path.stat().st_size
            with path.open("rb") as stream:
                data = stream.read(max_bytes + 1)
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise SourceError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if max(size, len(data)) > max_bytes:
        raise SourceError(f"has {size} bytes; the limit is {max_bytes} (max_file_mb)")
    return data


@lru_cache(maxsize=1)
def _archive(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def tokenize_source(
    source: SourceFile, data: bytes, config: ReadingConfig
) -> tuple[dict[str, Any], list[tuple[float, Int[np.ndarray, " T"]]]]:
    """Turn a file's bytes into facts about it and its token streams: the performance first, then its tempo variants.

    Raises:
        PianogenError: It cannot be read, or has no or too many notes.
    """
    raw = read_midi(data) if source.name.lower().endswith(MIDI_SUFFIXES) else read_performance(Path(source.path))
    if len(raw) > config.max_notes:
        raise SourceError(f"has {len(raw)} notes; the limit is {config.max_notes} (max_notes)")
    ids, report = tokenize(raw, config.tokenizer)
    facts = {
        "seconds": round(raw.seconds, 6),
        "time_signature": raw.time_signature,
        "report": asdict(report),
        "signature": signature(ids) if config.signatures and source.composition is None else None,
        "tempo_marks": _tempo_marks(raw, config.tokenizer.steps_per_quarter) if config.tempo_marks else None,
    }
    return facts, [(1.0, ids), *_variants(raw, config)]


def _tempo_marks(raw: RawNotes, steps_per_quarter: int) -> list[tuple[float, float]]:
    steps = raw.tempo_map.tick * steps_per_quarter / raw.ticks_per_quarter
    return list(zip(steps.tolist(), raw.tempo_map.quarters_per_minute.tolist(), strict=True))


def _variants(raw: RawNotes, config: ReadingConfig) -> Iterator[tuple[float, Int[np.ndarray, " T"]]]:
    for factor in config.tempo_variants:
        yield factor, tokenize(raw.at_tempo(factor), config.tokenizer)[0]


def store(ids: Int[np.ndarray, " T"], tempo: float, spool: BinaryIO) -> SpooledTokens:
    """Append tokens to a spool file opened without a buffer."""
    words = ids[2:-1:2]  # the first of each pair
    notes = words[words != SEP]
    data = ids.astype("<i2").tobytes()
    offset = spool.tell()
    rest = memoryview(data)
    while rest:
        rest = rest[spool.write(rest) :]
    return SpooledTokens(
        tempo=tempo,
        spool=Path(spool.name).name,
        offset=offset,
        num_tokens=len(ids),
        num_notes=len(notes),
        lowest_pitch=int(notes.min()) - FIRST_NOTE,
        highest_pitch=int(notes.max()) - FIRST_NOTE,
        digest=hashlib.blake2b(data, digest_size=16).hexdigest(),
    )
