"""One table and one page of all pieces in a folder: index.csv, and index.html with piano rolls that play.

Both follow from the files in the folder alone, so that it does not matter which jobs made them, or when.
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
from pianogen.render import escape, link, page, player, resource
from pianogen.tokens import Notes, decode
from pianogen.tokens.vocab import ids_of

_SERIES = "*/*/seed-*"  # folders of a request for several runs, prompts or seeds; see `plan`
_LINKS = {".mid": "MIDI", ".musicxml": "score", ".png": "picture", ".json": "words"}
_ENDINGS = {"xxeos": "ended by itself", "limit": "cut at the maximum"}
_FILTER_SCRIPT = """
const choices = [...document.querySelectorAll("select[data-of]")];
const choose = () => document.querySelectorAll("section").forEach((section) => {
  section.hidden = choices.some((one) => one.value && section.dataset[one.dataset.of] !== one.value);
});
choices.forEach((one) => one.addEventListener("change", choose));
choose();
"""


@dataclass(frozen=True)
class Piece:
    """A finished piece."""

    file: PurePath
    """Its MIDI file, within the folder of the index."""
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


def write_index(folder: Path, write_file: WriteFile = write_atomic) -> None:
    """Write index.csv and index.html of a folder that `generate` has written to.

    Raises:
        RunError: A sidecar is damaged.
    """
    pieces = find_pieces(folder)
    write_file(folder / "index.csv", _table(pieces).encode("utf-8", "replace"))
    write_file(folder / "index.html", _page(folder.resolve().name, pieces).encode("utf-8", "replace"))


def find_pieces(folder: Path) -> list[Piece]:
    """List the finished pieces, by folder and number."""
    found = []
    for place in (folder, *sorted(folder.glob(_SERIES))):
        for path in sorted(place.glob("[0-9]*.json"), key=lambda path: (len(path.stem), path.stem)):
            sidecar = read_sidecar(path)
            if sidecar is not None and path.with_suffix(".mid").exists():
                files = [path.with_suffix(suffix) for suffix in _LINKS]
                there = [file.relative_to(folder) for file in files if file.exists()]
                found.append(Piece(there[0], sidecar, tuple(there[1:])))
    return found


def _table(pieces: Iterable[Piece]) -> str:
    text = io.StringIO()
    rows = [_row(piece) for piece in pieces]
    names = dict.fromkeys(name for row in rows for name in row) or {"file": None}
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(piece: Piece) -> dict[str, Any]:
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


def _page(name: str, pieces: Sequence[Piece]) -> str:
    series = [list(group) for _, group in groupby(pieces, key=lambda piece: piece.file.parent)]
    choices: dict[str, dict[str, None]] = {"run": {}, "prompt": {}, "seed": {}}
    for piece in pieces:
        for what, value in _keys(piece).items():
            choices[what][value] = None
    sizes = [f"{len(pieces):,} {'piece' if len(pieces) == 1 else 'pieces'}"]
    sizes += [f"{len(values):,} {what}s" for what, values in choices.items() if len(values) > 1]
    body = [
        f"<h1>{escape(name)}</h1>",
        f'<p class="soft">{", ".join(sizes)}; as a table: <a href="./index.csv">index.csv</a>. '
        "Press a button to play, or a place in the roll to go there.</p>",
        _filters(choices),
        *(_section(group) for group in series),
    ]
    return page(f"{name}: pieces", "\n".join(body), script=resource("player.js") + _FILTER_SCRIPT)


def _filters(choices: dict[str, dict[str, None]]) -> str:
    selects = []
    for what, values in choices.items():
        if len(values) > 1:
            options = "".join(f'<option value="{escape(value)}">{escape(value)}</option>' for value in values)
            selects.append(
                f'<label>{what}<select data-of="{what}"><option value="">all</option>{options}</select></label>'
            )
    return f'<div class="filters">{"".join(selects)}</div>' if selects else ""


def _keys(piece: Piece) -> dict[str, str]:
    return {"run": piece.sidecar["run"], "prompt": piece.prompt or "none", "seed": str(piece.sidecar["seed"])}


def _section(pieces: Sequence[Piece]) -> str:
    first = pieces[0]
    sidecar, keys = first.sidecar, _keys(first)
    begins = f"continues {first.prompt}" if first.prompt else "from nothing"
    data = " ".join(f'data-{what}="{escape(value)}"' for what, value in keys.items())
    settings = [f"{what} {value:g}" for what, value in sidecar["settings"].items() if value is not None]
    checkpoint = f"step {sidecar['checkpoint']['step']:,}, weights {sidecar['checkpoint']['sha256'][:12]}"
    return f"""<section {data}>
<h2>{escape(sidecar["run"])}<small>{escape(begins)}, seed {escape(keys["seed"])}</small></h2>
<p class="soft">{escape("; ".join([checkpoint, *settings]))}</p>
{"".join(_card(piece) for piece in pieces)}</section>"""


def _card(piece: Piece) -> str:
    sidecar, notes = piece.sidecar, piece.notes
    bars = sidecar["num_steps"] / (4 * sidecar["steps_per_quarter"])
    facts = (
        f"{len(notes):,} notes, {bars:.0f} bars of four quarters, {_ENDINGS.get(sidecar['ended'], sidecar['ended'])}"
    )
    links = "".join(f'<a href="{link(file)}">{_LINKS[file.suffix]}</a>' for file in (piece.file, *piece.others))
    heard = player(
        notes,
        seconds_per_step=piece.seconds_per_step,
        steps_per_quarter=sidecar["steps_per_quarter"],
        prompt_steps=sidecar["prompt_steps"],
        label=f"{sidecar['run']}, piece {sidecar['piece']}",
    )
    return f"""<article class="card">
<header><strong>Piece {sidecar["piece"]}</strong><span class="soft">{escape(facts)}</span>\
<span class="links">{links}</span></header>
{heard}
</article>
"""
