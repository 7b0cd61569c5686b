"""The sets of pieces that are compared: those to judge, real music, its floor, and random notes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.markup import escape

from pianogen.config import JudgeConfig, TokenizerConfig
from pianogen.data import Split
from pianogen.errors import RunError, SettingError, SourceError, TokenError
from pianogen.generation.index import find_pieces
from pianogen.generation.piece_folder import read_sidecar
from pianogen.judge.spacing import spread
from pianogen.metrics.music import Piece
from pianogen.metrics.music.extremes import uniform_random
from pianogen.progress import console
from pianogen.randomness import RandomStream, generator
from pianogen.tokens import Notes, RawNotes, decode, encode, find_sources, quantise, read_performance, source_suffixes
from pianogen.tokens.vocab import ids_of

Role = Literal["reference", "floor", "judged", "raw", "noise"]
RAW_STEPS_PER_QUARTER = 48  # 10 ms at 120 quarters per minute
MAX_FLOOR_PIECES, MAX_NOISE_PIECES = 100, 50


@dataclass(frozen=True)
class NamedPiece:
    """A piece and where it is from."""

    name: str
    piece: Piece
    folder: Path | None = None
    step: int = 0
    """Of the checkpoint that made it."""


@dataclass(frozen=True)
class PieceSet:
    """Pieces that are described and compared as one."""

    name: str
    role: Role
    pieces: list[NamedPiece]
    left_out: list[str] = field(default_factory=list)
    """Files that are left out, and why."""
    has_prompt: bool = False
    """Whether the pieces were generated as the continuation of a prompt."""

    def first(self, num: int) -> "PieceSet":
        """The same with at most this many pieces, evenly spaced."""
        chosen = spread(len(self.pieces), num)
        return replace(self, pieces=[self.pieces[index] for index in chosen])

    def beginnings(self, seconds: float) -> "PieceSet":
        """The same with the first seconds of each piece."""
        return replace(self, pieces=[replace(one, piece=one.piece.beginning(seconds)) for one in self.pieces])


def judged_sets(names: Sequence[str], config: JudgeConfig, tokenizer: TokenizerConfig) -> list[PieceSet]:
    """Read the pieces to judge: each folder, named NAME=FOLDER or by itself, is a set; single files are one set.

    A folder that `pianogen generate` wrote, or one in it, is a set per run, with and without prompt. Its pieces among
    other files are known by their sidecars.

    Raises:
        SettingError: There is no such file or folder, a set has no piece, or two have one name.
    """
    sets: list[PieceSet] = []
    files: list[Path] = []
    for given in names:
        name, path = _name_and_path(given)
        if path.is_file() and name is None:
            files.append(path)
        elif path.exists():
            sets += _sets_of(path, name, config, tokenizer)
        else:
            raise SettingError(f"{path} does not exist; give folders of pieces, NAME=FOLDER, or files")
    sets += [_read_files("files", "judged", files, tokenizer, config)] if files else []
    found = [one.name for one in sets]
    for name in found:
        if found.count(name) > 1:
            raise SettingError(f"two sets are called {name!r}; name them: NAME=FOLDER")
    return sets


def _name_and_path(given: str) -> tuple[str | None, Path]:
    name, mark, path = given.partition("=")
    return (name, Path(path)) if mark and name and not Path(given).exists() else (None, Path(given))


def _sets_of(path: Path, name: str | None, config: JudgeConfig, tokenizer: TokenizerConfig) -> list[PieceSet]:
    listed = find_pieces(path) if path.is_dir() else []
    if not listed:
        return [_read_files(name or path.resolve().name, "judged", _files_in(path), tokenizer, config)]
    groups: dict[tuple[str, bool], list[NamedPiece]] = {}
    named = name is not None and len({piece.sidecar["run"] for piece in listed}) == 1
    both = len({bool(piece.prompt) for piece in listed}) > 1
    for piece in listed:
        group = name if name and named else piece.sidecar["run"]
        if both or (piece.prompt and not named):
            group += ", with prompt" if piece.prompt else ", without prompt"
        made = _generated(piece.file.as_posix(), path, piece.sidecar, config)
        groups.setdefault((group, bool(piece.prompt)), []).append(made)
    return [PieceSet(group, "judged", made, has_prompt=prompt) for (group, prompt), made in groups.items()]


def _generated(name: str, folder: Path, sidecar: Mapping[str, Any], config: JudgeConfig) -> NamedPiece:
    """A piece of `pianogen generate`, by default without the notes of its prompt."""
    notes = _from(decode(ids_of(sidecar["words"].split())), 0 if config.with_prompt else sidecar["prompt_steps"])
    return NamedPiece(name, Piece.of(notes, sidecar["steps_per_quarter"]), folder, sidecar["checkpoint"]["step"])


def _sidecar_of(file: Path) -> dict[str, Any] | None:
    """What `pianogen generate` wrote beside a file; None if that is not of it."""
    try:
        found = read_sidecar(file.with_suffix(".json"))
    except RunError:  # another program's
        return None
    return found if found and {"prompt_steps", "steps_per_quarter", "checkpoint"} <= found.keys() else None


def _from(notes: Notes, step: int) -> Notes:
    kept = notes.onset >= step
    return notes.select(kept)


def read_folder(path: Path, name: str, role: Role, tokenizer: TokenizerConfig) -> PieceSet:
    """Read every MIDI file and score in a folder, or one file.

    Raises:
        SettingError: There is none that can be read.
    """
    return _read_files(name, role, _files_in(path), tokenizer)


def _files_in(path: Path) -> list[Path]:
    return sorted(find_sources(path)) if path.is_dir() else [path]


def _read_files(
    name: str, role: Role, files: Sequence[Path], tokenizer: TokenizerConfig, config: JudgeConfig | None = None
) -> PieceSet:
    """Read files; with `config`, those of `pianogen generate` as the piece that their sidecar describes, each once."""
    pieces, left_out, generated, has_prompt = [], [], set[Path](), False
    for file in files:
        if config and (sidecar := _sidecar_of(file)):
            if (stem := file.with_suffix("")) not in generated:
                generated.add(stem)
                has_prompt |= bool(sidecar.get("prompt"))
                pieces.append(_generated(file.name, file.parent, sidecar, config))
            continue
        try:
            raw = read_performance(file)
        except SourceError as error:
            left_out.append(str(error))
            continue
        piece = as_played(raw) if role == "raw" else _as_tokens(raw, tokenizer)
        pieces.append(NamedPiece(file.name, piece, file.parent))
    if not pieces:
        why = left_out[0] if left_out else f"there is no file that ends in {' '.join(source_suffixes())}"
        raise SettingError(f"set {name!r} has no piece: {why}")
    for reason in left_out[:3]:
        console.print(f"[yellow]warning:[/] left out of {escape(name)}: {escape(reason)}", soft_wrap=True)
    return PieceSet(name, role, pieces, left_out, has_prompt)


def _as_tokens(raw: RawNotes, tokenizer: TokenizerConfig) -> Piece:
    """What tokens keep of a performance; nothing if no note is left."""
    notes, _ = quantise(raw, tokenizer)
    try:
        return Piece.of(decode(encode(notes)), tokenizer.steps_per_quarter)
    except TokenError:
        return Piece.of(notes, tokenizer.steps_per_quarter)


def as_played(raw: RawNotes, steps_per_quarter: int = RAW_STEPS_PER_QUARTER) -> Piece:
    """A performance on a grid, by default so fine that its timing is kept."""
    scale = steps_per_quarter / raw.ticks_per_quarter
    onset = np.rint(raw.onset * scale).astype(np.int64)
    duration = np.maximum(np.rint(raw.duration * scale).astype(np.int64), 1)
    order = np.lexsort((-raw.pitch, onset))
    return Piece.of(Notes(onset[order], duration[order], raw.pitch[order]), steps_per_quarter)


def without_repeats(one: PieceSet) -> PieceSet:
    """The same with the first of the pieces that have the same notes, such as a score and a MIDI file of it."""
    first: dict[bytes, NamedPiece] = {}
    left_out = list(one.left_out)
    for named in one.pieces:
        notes = named.piece.notes
        kept = first.setdefault(np.stack([notes.onset, notes.duration, notes.pitch]).astype("<i8").tobytes(), named)
        if kept is not named:
            left_out.append(f"{named.name}, which has the same notes as {kept.name}")
    return replace(one, pieces=list(first.values()), left_out=left_out)


def of_split(split: Split, name: str, role: Role, steps_per_quarter: int, indices: Sequence[int]) -> PieceSet:
    """Performances of shards, decoded from their tokens."""
    pieces = []
    for index in indices:
        piece = Piece.of(decode(split.tokens(index)), steps_per_quarter)
        pieces.append(NamedPiece(title_of(split.metadata(index), index), piece))
    return PieceSet(name, role, pieces)


def title_of(known: Mapping[str, Any], otherwise: object) -> str:
    """What is known about a performance as its composer and title, or its source without these."""
    title = ", ".join(str(known[key]) for key in ("composer", "title") if known.get(key))
    return title or str(known.get("source", otherwise))


def drawn(count: int, num: int, seed: int) -> list[int]:
    """At most `num` of `count` indices, drawn and in ascending order."""
    random = generator(seed, RandomStream.JUDGED)
    return np.sort(random.permutation(count)[:num]).tolist()


def noise_like(reference: PieceSet, seed: int) -> PieceSet:
    """Random pieces with as many notes in as many steps as pieces of the reference have."""
    return PieceSet("noise", "noise", list(_noise(reference.first(MAX_NOISE_PIECES), seed)))


def _noise(reference: PieceSet, seed: int) -> Iterator[NamedPiece]:
    for number, one in enumerate(reference.pieces):
        notes = uniform_random(len(one.piece.notes), one.piece.num_steps, seed, number)
        yield NamedPiece(f"noise {number}", Piece.of(notes, one.piece.steps_per_quarter))
