"""The index of a folder of pieces: a table, index.csv, and a page with piano rolls and players, index.html.

Both depend only on the files in the folder, not on the jobs that wrote them.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any

from pianogen.files import write_atomic
from pianogen.generation.piece_folder import WriteFile, read_sidecar
from pianogen.render import player, render_template
from pianogen.render.samples import SOUND_FILE
from pianogen.tokens import Notes, decode
from pianogen.tokens.vocab import ids_of

# folders of a request for several runs, prompts or seeds (see `job`), seen from its folder or from one of theirs
_SERIES = ("*/*/seed-*", "*/seed-*", "seed-*")
_LINKS = {
    **{".mid": "MIDI", ".wav": "WAV", ".flac": "FLAC", ".ogg": "Ogg", ".mp3": "MP3"},
    **{".musicxml": "score", ".svg": "engraved", ".png": "picture", ".json": "words"},
}
_ENDINGS = {"xxeos": "ended by itself", "limit": "cut at the maximum"}


@dataclass(frozen=True)
class ListedPiece:
    """A finished piece."""

    file: PurePath
    """Its MIDI file, relative to the folder of the index."""
    sidecar: dict[str, Any]
    others: tuple[PurePath, ...]
    """The files beside it."""

    @property
    def notes(self) -> Notes:
        """Its notes, the prompt's included."""
        return decode(ids_of(self.sidecar["words"].split()))

    @property
    def seconds_per_step(self) -> float:
        """Duration of a step."""
        return 60 / (self.sidecar["quarters_per_minute"] * self.sidecar["steps_per_quarter"])

    @property
    def prompt(self) -> str:
        """The name of its prompt, if it has one."""
        return (self.sidecar["prompt"] or {}).get("name", "")

    @property
    def labels(self) -> dict[str, str]:
        """What the page can be filtered by."""
        return {"run": self.sidecar["run"], "prompt": self.prompt or "none", "seed": str(self.sidecar["seed"])}


def write_index(folder: Path, write_file: WriteFile = write_atomic) -> None:
    """Write index.csv and index.html of a folder that `generate` wrote.

    Raises:
        RunError: A sidecar is damaged.
    """
    pieces = find_pieces(folder)
    write_file(folder / "index.csv", _table(pieces).encode("utf-8", "replace"))
    page = _page(folder.resolve().name, pieces, sound=(folder / SOUND_FILE).exists())
    write_file(folder / "index.html", page.encode("utf-8", "replace"))


def find_pieces(folder: Path) -> list[ListedPiece]:
    """List the finished pieces in the folder of a request, of one of its runs or of a prompt, by folder and number."""
    found = []
    for subfolder in (folder, *sorted(path for pattern in _SERIES for path in folder.glob(pattern))):
        for path in sorted(subfolder.glob("[0-9]*.json"), key=lambda path: (len(path.stem), path.stem)):
            sidecar = read_sidecar(path)
            if sidecar is not None and path.with_suffix(".mid").exists():
                files = [path.with_suffix(suffix) for suffix in _LINKS]
                there = [file.relative_to(folder) for file in files if file.exists()]
                found.append(ListedPiece(there[0], sidecar, tuple(there[1:])))
    return found


def _table(pieces: Iterable[ListedPiece]) -> str:
    text = io.StringIO()
    rows = [_row(piece) for piece in pieces]
    names = dict.fromkeys(name for row in rows for name in row) or {"file": None}
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(piece: ListedPiece) -> dict[str, Any]:
    sidecar = piece.sidecar
    return {
        "file": piece.file.as_posix(),
        "run": sidecar["run"],
        "step": sidecar["checkpoint"]["step"],
        "checkpoint_sha256": sidecar["checkpoint"]["sha256"],
        "prompt": piece.prompt,
        "seed": sidecar["seed"],
        "piece": sidecar["piece"],
        "ended": sidecar["ended"],
        "num_tokens": sidecar["num_tokens"],
        "num_notes": len(piece.notes),
        "num_steps": sidecar["num_steps"],
        "duration_s": round(sidecar["num_steps"] * piece.seconds_per_step, 3),
        **sidecar["settings"],
    }


def _page(name: str, pieces: Sequence[ListedPiece], *, sound: bool) -> str:
    choices = {key: list(dict.fromkeys(piece.labels[key] for piece in pieces)) for key in ("run", "prompt", "seed")}
    filters = {key: values for key, values in choices.items() if len(values) > 1}
    sizes = [f"{len(pieces):,} {'piece' if len(pieces) == 1 else 'pieces'}"]
    sizes += [f"{len(values):,} {key}s" for key, values in filters.items()]
    series = [_series(list(group)) for _, group in groupby(pieces, key=lambda piece: piece.file.parent)]
    shown = {"name": name, "sizes": sizes, "filters": filters, "series": series}
    return render_template("pieces.html", title=f"{name}: pieces", sound=sound, **shown)


def _series(pieces: Sequence[ListedPiece]) -> dict[str, Any]:
    first, sidecar = pieces[0], pieces[0].sidecar
    checkpoint = f"step {sidecar['checkpoint']['step']:,}, weights {sidecar['checkpoint']['sha256'][:12]}"
    settings = [f"{name} {_shown(value)}" for name, value in sidecar["settings"].items() if value is not None]
    return {
        "labels": first.labels,
        "start": f"continues {first.prompt}" if first.prompt else "from nothing",
        "settings": [checkpoint, *settings],
        "pieces": [_card(piece) for piece in pieces],
    }


def _shown(value: float | str) -> str:
    """A setting's value: bf16, 1000000 or 0.95."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _card(piece: ListedPiece) -> dict[str, Any]:
    sidecar, notes = piece.sidecar, piece.notes
    bars = sidecar["num_steps"] / (4 * sidecar["steps_per_quarter"])
    ended = _ENDINGS.get(sidecar["ended"], sidecar["ended"])
    return {
        "number": sidecar["piece"],
        "facts": f"{len(notes):,} notes, {bars:.0f} bars of four quarters, {ended}",
        "files": {_LINKS[file.suffix]: file for file in (piece.file, *piece.others)},
        "player": player(
            notes,
            seconds_per_step=piece.seconds_per_step,
            steps_per_quarter=sidecar["steps_per_quarter"],
            prompt_steps=sidecar["prompt_steps"],
            label=f"{sidecar['run']}, piece {sidecar['piece']}",
        ),
    }
