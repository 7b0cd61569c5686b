"""The folder that the pieces of one request are written to.

    DIR/0000.mid  0000.json  [0000.musicxml]  [0000.png]

Every file appears whole or not at all, and the sidecar last: a piece that has one is done.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Int
from numpy import ndarray

from pianogen.config import GenerateConfig
from pianogen.errors import SettingError
from pianogen.files import write_atomic
from pianogen.generation.prompt import Prompt, clock_and_end
from pianogen.generation.sampler import Sample
from pianogen.generation.sidecar import check_same_request, read_sidecar
from pianogen.tokens import Notes, decode, midi_bytes, write_musicxml
from pianogen.tokens.vocab import ids_of, words_of

Put = Callable[[Path, bytes | str], None]
"""Writes a file whole or not at all."""


@dataclass(frozen=True)
class Folder:
    """Where pieces go, and what they have in common."""

    path: Path
    prompt: Prompt
    request: dict[str, Any]
    config: GenerateConfig
    put: Put = write_atomic

    def open(self) -> None:
        """Make the folder, or look at what is in it.

        Raises:
            SettingError: It cannot be made.
            RunError: It holds pieces of another request.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(f"--out {self.path} cannot be a folder: {error.strerror}; choose another") from error
        for path in sorted(self.path.glob("[0-9]*.json")):
            check_same_request(path, read_sidecar(path) or {}, self.request)

    def file(self, piece: int, suffix: str) -> Path:
        """Name a file of a piece."""
        return self.path / f"{piece:04d}{suffix}"

    def holds(self, piece: int) -> bool:
        """Whether a piece is done; a score or picture that was not asked for when it was made is written now."""
        sidecar = read_sidecar(self.file(piece, ".json"))
        if sidecar is None or not self.file(piece, ".mid").exists():
            return False
        self._write_extras(piece, ids_of(sidecar["words"].split()))
        return True

    def write(self, sample: Sample) -> None:
        """Write a piece, the sidecar last."""
        piece, notes = sample.request.piece, decode(sample.tokens)
        spq, tempo = self.prompt.steps_per_quarter, self.prompt.quarters_per_minute
        midi = midi_bytes(notes, steps_per_quarter=spq, quarters_per_minute=tempo)
        self.put(self.file(piece, ".mid"), midi)
        self._write_extras(piece, sample.tokens)
        self.put(self.file(piece, ".json"), json.dumps(self._sidecar(sample), indent=2) + "\n")

    def _sidecar(self, sample: Sample) -> dict[str, Any]:
        return {
            **self.request,
            "piece": sample.request.piece,
            "ended": sample.ended,
            "prompt_tokens": len(self.prompt.ids) if self.prompt.name else 0,
            "prompt_steps": self.prompt.num_steps,
            "num_tokens": len(sample.tokens),
            "num_steps": clock_and_end(sample.tokens[:-1])[1],
            "steps_per_quarter": self.prompt.steps_per_quarter,
            "quarters_per_minute": self.prompt.quarters_per_minute,
            "words": " ".join(words_of(sample.tokens)),
        }

    def _write_extras(self, piece: int, ids: Int[ndarray, " T"]) -> None:
        score, picture = self.file(piece, ".musicxml"), self.file(piece, ".png")
        if self.config.musicxml and not score.exists():
            self.put(score, _bytes_by(lambda path: self._write_score(decode(ids), path), score.name))
        if self.config.piano_roll and not picture.exists():
            self.put(picture, _bytes_by(lambda path: self._draw(decode(ids), path), picture.name))

    def _write_score(self, notes: Notes, path: Path) -> None:
        spq, time_signature = self.prompt.steps_per_quarter, self.prompt.time_signature
        write_musicxml(notes, path, steps_per_quarter=spq, time_signature=time_signature)

    def _draw(self, notes: Notes, path: Path) -> None:
        from pianogen.render import piano_roll  # matplotlib is slow to import

        spq, prompt_steps = self.prompt.steps_per_quarter, self.prompt.num_steps or None
        title = f"{self.request['run']}, piece {path.stem}"
        piano_roll(notes, path, steps_per_quarter=spq, prompt_steps=prompt_steps, title=title)


def _bytes_by(write: Callable[[Path], None], name: str) -> bytes:
    """What `write` makes of a file."""
    with tempfile.TemporaryDirectory(prefix="pianogen-") as folder:
        scratch = Path(folder) / name
        write(scratch)
        return scratch.read_bytes()
