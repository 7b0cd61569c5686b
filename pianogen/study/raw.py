"""Performances as they were played, for a condition that tokens do not limit."""

import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pianogen.config import TokenizerConfig
from pianogen.errors import SourceError, StudyError
from pianogen.render.sound import played
from pianogen.render.synthesis import PlayedNotes
from pianogen.study.cutting import REST_WITHIN_S, rest
from pianogen.study.excerpts import Excerpt
from pianogen.tokens import RawNotes, quantise, read_midi, read_performance

_PER_SECOND = 100.0  # steps in which a rest is searched


class RawPerformances:
    """The files that the shards were made of: a folder, or a zip archive such as MAESTRO's."""

    def __init__(self, location: Path) -> None:
        """Name them.

        Raises:
            StudyError: It is neither.
        """
        self._location = location
        self._names: list[str] = []
        if not location.is_dir():
            try:
                with zipfile.ZipFile(location) as archive:
                    self._names = archive.namelist()
            except (OSError, zipfile.BadZipFile) as error:
                raise StudyError(
                    f"setting 'raw' is {str(location)!r}, but it must be a folder or a zip archive of the files that "
                    f"the shards were made of ({error})"
                ) from error

    def played(self, excerpt: Excerpt, tokenizer: TokenizerConfig, start: int, seconds: float) -> PlayedNotes:
        """The notes from step `start` of the excerpt on, until a rest near the end of `seconds`, as in `cut`.

        Time 0 is the first of them.

        Raises:
            StudyError: The file is missing or cannot be read.
        """
        raw = self._read(str(excerpt.metadata.get("source")))
        notes, _ = quantise(raw, tokenizer)
        lead = int(notes.onset[0]) - int(excerpt.notes.onset[0])  # tokens have no longer wait than d160
        tick = (start + lead) * raw.ticks_per_quarter / tokenizer.steps_per_quarter
        sound = played(raw)
        kept = np.flatnonzero(raw.onset >= tick - 0.5)
        onset = sound.onset[kept] - sound.onset[kept].min(initial=np.inf)
        end = _rest_s(onset, onset + sound.duration[kept], seconds)
        kept, onset = kept[onset < end], onset[onset < end]
        duration = np.minimum(sound.duration[kept], end - onset)
        return PlayedNotes(onset, duration, sound.pitch[kept], sound.velocity[kept])

    def _read(self, source: str) -> RawNotes:
        try:
            if not self._names:
                return read_performance(self._location / source)
            name = next(name for name in self._names if name == source or name.endswith(f"/{source}"))
            with zipfile.ZipFile(self._location) as archive:
                return read_midi(archive.read(name))
        except StopIteration as error:
            raise StudyError(f"{self._location} has no file {source!r}, which the shards name as a source") from error
        except (SourceError, OSError, zipfile.BadZipFile) as error:
            raise StudyError(f"{source!r} of {self._location} cannot be read: {error}") from error


def _rest_s(onset: Float[np.ndarray, " N"], release: Float[np.ndarray, " N"], seconds: float) -> float:
    """When notes that begin at 0 are cut, in seconds."""
    if not len(onset):
        return seconds
    begins, ends = (np.rint(np.sort(times) * _PER_SECOND).astype(np.int64) for times in (onset, release))
    return rest(begins, ends, round(seconds * _PER_SECOND), round(REST_WITHIN_S * _PER_SECOND)) / _PER_SECOND
