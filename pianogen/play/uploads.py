"""A file that a visitor sent, read by the process of limited memory and time that reads the files of shards."""

import unicodedata
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryDirectory

import numpy as np

from pianogen.config import TokenizerConfig
from pianogen.errors import SourceError
from pianogen.generation.prompt import Prompt, clock_and_end
from pianogen.play.prompts import KnownPrompt
from pianogen.tokens import load_readers, source_suffixes
from pianogen.tokens.metre import plausible_metre
from shards.pool import read_sources
from shards.reading import Reading, ReadingConfig
from shards.sources import SourceFile

MAX_BYTES = 5_000_000
_MAX_NOTES = 50_000  # a page shows them all
_MAX_SECONDS = 20
_MAX_TITLE = 80  # characters


def read_upload(prompt_id: str, name: str, data: bytes, tokenizer: TokenizerConfig) -> KnownPrompt:
    """Read a file from its bytes; of its name, only the suffix decides anything.

    Raises:
        SourceError: It is not a MIDI file or score, or is broken or empty.
    """
    title, suffix = title_and_suffix(name)
    if not data:
        raise SourceError(f"{title}{suffix} is empty; send the bytes of the file as the body")
    with TemporaryDirectory(prefix="pianogen-play-") as folder:
        path = Path(folder) / f"prompt{suffix}"
        path.write_bytes(data)
        return read_file(SourceFile(f"{title}{suffix}", str(path), title=title), prompt_id, tokenizer, Path(folder))


def read_file(source: SourceFile, prompt_id: str, tokenizer: TokenizerConfig, folder: Path) -> KnownPrompt:
    """Read a file on disk; the worker writes to `folder`.

    Raises:
        SourceError: It is broken or empty.
    """
    config = ReadingConfig(tokenizer, (), MAX_BYTES / 1e6, _MAX_NOTES, signatures=False, tempo_marks=True)
    (reading,) = read_sources([source], config, folder, workers=1, max_seconds=_MAX_SECONDS)
    if reading.reason is not None:
        raise SourceError(f"{source.name}: {reading.reason}")
    (stream,) = reading.streams
    ids = np.fromfile(folder / stream.spool, dtype="<i2", count=stream.num_tokens, offset=stream.offset)[:-1]
    return KnownPrompt(
        prompt_id,
        source.title or source.name,
        source.composer,
        _prompt(ids.astype(np.int16), reading, tokenizer),
        reading.tempo_marks or (),
    )


def title_and_suffix(name: str) -> tuple[str, str]:
    """The name of a file without its folders and control characters, and its suffix in lower case.

    Raises:
        SourceError: The suffix is not that of a MIDI file or score.
    """
    base = "".join(one for one in PureWindowsPath(name).name if not unicodedata.category(one).startswith("C"))
    suffixes = sorted(source_suffixes(), key=len, reverse=True)
    suffix = next((one for one in suffixes if base.lower().endswith(one)), None)
    if suffix is None:
        raise SourceError(
            f"the file name {base[:_MAX_TITLE]!r} is not that of a MIDI file or score ({' '.join(source_suffixes())});"
            " it is given by the header X-Filename or ?name="
        )
    load_readers({suffix})
    return base[: -len(suffix)][:_MAX_TITLE] or "untitled", suffix


def _prompt(ids: np.ndarray, reading: Reading, tokenizer: TokenizerConfig) -> Prompt:
    tempo = reading.tempo_marks[-1][1] if reading.tempo_marks else Prompt().quarters_per_minute
    end, metre = clock_and_end(ids)[1], plausible_metre(reading.time_signature)
    return Prompt(ids, end, tokenizer.steps_per_quarter, tempo, metre)
