"""The folder of the pieces of one request.

    DIR/0000.mid  0000.json  [0000.musicxml]  [0000.svg]  [0000.png]  [0000.wav ...]

The JSON sidecar says where a piece comes from and what it is. Every file is written atomically and the sidecar last: a
piece that has one is finished.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jaxtyping import Int
from numpy import ndarray

from pianogen.config import GenerateConfig, flatten
from pianogen.errors import RunError, SourceError, TokenError
from pianogen.files import write_atomic
from pianogen.folders import make_out
from pianogen.generation.prompt import Prompt, clock_and_end
from pianogen.generation.sampler import SampledPiece
from pianogen.locks import FileLock
from pianogen.progress import console
from pianogen.render.sound import SoundFormat, encode_sound, piano_sound, played_piece, sound_formats
from pianogen.runs import CheckpointInfo
from pianogen.tokens import Notes, decode, midi_bytes, musicxml_bytes
from pianogen.tokens.vocab import ids_of, words_of

WriteFile = Callable[[Path, bytes | str], None]
"""Writes a file atomically."""

# the settings that decide which words are drawn; the others say how many pieces, how fast, and what else to write
_SETTINGS = (
    "prompt_seconds",
    "prompt_bars",
    "tokens",
    "bars",
    "seconds",
    "min_tokens",
    "min_bars",
    "min_seconds",
    "temperature",
    "duration_temperature",
    "top_k",
    "top_p",
    "min_p",
)
# settings that are recorded only where they differ from these: sidecars of older versions do not have them
_DEFAULTS = {"precision": "fp32", "ops": "auto"}


@dataclass(frozen=True)
class PieceFolder:
    """A folder of pieces, and what they have in common."""

    path: Path
    prompt: Prompt
    request: dict[str, Any]
    config: GenerateConfig
    write_file: WriteFile = write_atomic
    _known: set[str] = field(default_factory=set)
    """Sidecars of this request that were found or written: with one, no other request can begin to write here."""

    def open(self) -> None:
        """Create the folder, or check the pieces that are in it.

        Raises:
            SettingError: The folder cannot be created.
            RunError: The folder holds pieces of another request.
        """
        make_out(self.path)
        self._check()

    def _check(self) -> None:
        for path in sorted(self.path.glob("[0-9]*.json")):
            _check_same_request(path, read_sidecar(path) or {}, self.request)
            self._known.add(path.name)

    def file(self, piece: int, suffix: str) -> Path:
        """Path of a file of a piece."""
        return self.path / f"{piece:04d}{suffix}"

    def holds(self, piece: int) -> bool:
        """Whether a piece is finished; if so, its score and picture are written now if requested and missing."""
        sidecar = read_sidecar(self.file(piece, ".json"))
        if sidecar is None or not self.file(piece, ".mid").exists():
            return False
        self._write_extras(piece, ids_of(sidecar["words"].split()))
        return True

    def write(self, sampled: SampledPiece) -> None:
        """Write a piece, the sidecar last.

        Raises:
            RunError: The folder holds pieces of another request, which began at the same time.
        """
        piece, notes = sampled.request.piece, decode(sampled.tokens)
        midi = midi_bytes(notes, quarters_per_minute=self.prompt.quarters_per_minute, **self._metre)
        with self._claimed():
            self.write_file(self.file(piece, ".mid"), midi)
            self._write_extras(piece, sampled.tokens)
            self.write_file(self.file(piece, ".json"), json.dumps(self._sidecar(sampled), indent=2) + "\n")
            self._known.add(self.file(piece, ".json").name)

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Let one request at a time write the first piece."""
        if self._known:
            yield
            return
        try:
            lock = FileLock(self.path, folder=True)
        except OSError:  # a file system without locks
            lock = nullcontext()
        with lock:
            self._check()
            yield

    def _sidecar(self, sampled: SampledPiece) -> dict[str, Any]:
        return {
            **self.request,
            "piece": sampled.request.piece,
            "ended": sampled.ended,
            "prompt_tokens": len(self.prompt.ids) if self.prompt.name else 0,
            "prompt_steps": self.prompt.num_steps,
            "num_tokens": len(sampled.tokens),
            "num_steps": clock_and_end(sampled.tokens[:-1])[1],
            "steps_per_quarter": self.prompt.steps_per_quarter,
            "quarters_per_minute": self.prompt.quarters_per_minute,
            "words": " ".join(words_of(sampled.tokens)),
        }

    def _write_extras(self, piece: int, ids: Int[ndarray, " T"]) -> None:
        """Write what is requested beside a piece and does not exist; with a warning, leave out what cannot be made."""
        notes = decode(ids)
        wanted: dict[str, Callable[[], bytes | str]] = {}
        if self.config.musicxml:
            wanted[".musicxml"] = lambda: musicxml_bytes(notes, **self._metre)
        if self.config.svg:
            wanted[".svg"] = lambda: self._engraved(piece, notes)
        if self.config.piano_roll:
            wanted[".png"] = lambda: self._picture(piece, notes)
        for suffix, make in wanted.items():
            self._write_missing(piece, suffix, make)
        forms: list[SoundFormat] = [
            form for form in sound_formats(self.config) if not self.file(piece, f".{form}").exists()
        ]
        if forms:
            self._write_sound(piece, notes, forms)

    def _write_missing(self, piece: int, suffix: str, make: Callable[[], bytes | str]) -> None:
        path = self.file(piece, suffix)
        if not path.exists():
            try:
                self.write_file(path, make())
            except TokenError as error:  # such as a grid that notation cannot express
                _warn_once(f"no score: {error}")

    def _write_sound(self, piece: int, notes: Notes, forms: list[SoundFormat]) -> None:
        try:
            sound = piano_sound(played_piece(notes, self.prompt.seconds_per_step), self.config.soundfont)
        except SourceError as error:
            _warn_once(f"no sound: {error}")
            return
        for form in forms:
            self.write_file(self.file(piece, f".{form}"), encode_sound(sound, form))

    @property
    def _metre(self) -> dict[str, Any]:
        return {"steps_per_quarter": self.prompt.steps_per_quarter, "time_signature": self.prompt.time_signature}

    def _title(self, piece: int) -> str:
        return f"{self.request['run']}, piece {piece:04d}"

    def _engraved(self, piece: int, notes: Notes) -> str:
        from pianogen.render.notation import engraved

        return engraved(notes, **self._metre, title=self._title(piece))

    def _picture(self, piece: int, notes: Notes) -> bytes:
        from pianogen.render import piano_roll  # matplotlib is slow to import

        buffer = io.BytesIO()
        piano_roll(
            notes,
            buffer,
            steps_per_quarter=self.prompt.steps_per_quarter,
            bar_steps=self.prompt.bar_steps,
            prompt_steps=self.prompt.num_steps or None,
            title=self._title(piece),
        )
        return buffer.getvalue()


@cache
def _warn_once(message: str) -> None:
    console.print(f"[yellow]warning:[/] {message}", soft_wrap=True)


def request_of(run: str, checkpoint: CheckpointInfo, config: GenerateConfig, prompt: Prompt) -> dict[str, Any]:
    """Describe a request: two pieces with equal request and number are the same piece."""
    settings = asdict(config)
    recorded = [*_SETTINGS, *(name for name, default in _DEFAULTS.items() if settings[name] != default)]
    return {
        "run": run,
        "checkpoint": {"step": checkpoint.step, "sha256": checkpoint.sha256},
        "seed": config.seed,
        "prompt": {"name": prompt.name, "sha256": prompt.sha256} if prompt.name else None,
        "settings": {name: settings[name] for name in recorded},
    }


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """Read a sidecar, or None if it does not exist.

    Raises:
        RunError: The file is not a sidecar, or cannot be read.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}; fix this, or remove the file") from error
    except (ValueError, RecursionError) as error:
        raise _not_a_sidecar(path) from error
    if not isinstance(content, dict) or not isinstance(content.get("words"), str):
        raise _not_a_sidecar(path)
    return content


def _not_a_sidecar(path: Path) -> RunError:
    return RunError(f"{path} is not a sidecar of a piece; remove it, and the piece is generated again")


def _check_same_request(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to mix pieces of two requests in one folder; the message names the first difference."""
    defaults = {f"settings.{name}": default for name, default in _DEFAULTS.items()}
    there, here = defaults | flatten({key: found.get(key) for key in wanted}), defaults | flatten(wanted)
    for name in here | there:
        if there.get(name) != here.get(name):
            raise RunError(
                f"{path} was generated with {name} = {there.get(name)!r}, but {here.get(name)!r} is requested;"
                " choose another --out, or remove that folder"
            )
