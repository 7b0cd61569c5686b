"""How far pieces of a run are from real music: a file of results, and the table of models with and without prompt.

RESULTS/NAME.judge.json    see `pianogen.reproduce.judging`, which makes it
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pianogen.config import JudgedPiecesConfig, to_dict
from pianogen.errors import SettingError
from pianogen.files import write_json
from pianogen.judge.comparison import Distances, Judgement
from pianogen.judge.table import cells
from pianogen.metrics.sets import FrechetDistance
from pianogen.reproduce.plan import PlannedRun
from pianogen.reproduce.results import FORMAT, Result, read_json
from pianogen.reproduce.rows import ABSENT, Row, markdown

WITHOUT, WITH, NOISE = "without", "with", "noise"
_WINDOWS = ("10 s", "60 s")
Sets = Mapping[str, Mapping[str, Any]]
"""What a file says of the pieces without and with prompt, and of noise."""


def judged_file(folder: Path, name: str) -> Path:
    """The file of a run's pieces; a run's name has no dot, so that it is no run's."""
    return folder / f"{name}.judge.json"


def write_judged(
    folder: Path, run: PlannedRun, pieces: JudgedPiecesConfig, checkpoint: Any, sets: Mapping[str, Judgement]
) -> None:
    """Write NAME.judge.json."""
    found = {name: _of_set(one) for name, one in sets.items()}
    content = {"pieces": to_dict(pieces), "first_seconds": pieces.seconds, "checkpoint": checkpoint, "sets": found}
    write_json(judged_file(folder, run.name), {"format": FORMAT, "entry": run.entry, **content})


def _of_set(one: Judgement) -> dict[str, Any]:
    """All but the measures and their distances one by one, which would make the file 20 times as large."""
    distances, floors = (
        {window: {key: value for key, value in found[window].items() if key != "by_measure"} for window in found}
        for found in (one.as_json()["distances"], one.as_json()["floors"])
    )
    return {
        "pieces": one.pieces,
        "notes": one.notes,
        "median_seconds": one.median_seconds,
        "distances": distances,
        "floors": floors,
    }


def read_judged(folder: Path, result: Result, pieces: JudgedPiecesConfig) -> Sets | None:
    """What is known of the pieces of a finished run; None if they are not judged.

    Raises:
        RunError: The file is damaged or of another format.
        SettingError: It is of other pieces, or of another checkpoint than the result.
    """
    file = judged_file(folder, result.name)
    if not file.exists():
        return None
    content = read_json(file, {"entry", "pieces", "first_seconds", "checkpoint", "sets"})
    if content["pieces"] != to_dict(pieces) or content["checkpoint"] != result.content["checkpoint"]:
        raise SettingError(
            f"{file} is of pieces with other settings than the plan's, or of another checkpoint than "
            f"{result.name}.json; remove it, and the pieces are judged again if the run's folder is there"
        )
    return content["sets"]


def judged_table(rows: Sequence[Row], found: Mapping[str, Sets]) -> str:
    """The distances of the pieces of each run, with and without prompt; noise last."""
    noise = next(iter(found.values()))[NOISE]
    windows = [window for window in _WINDOWS if window in noise["distances"]]  # pieces may be shorter
    headings = ["model", "run", "prompt", "pieces"]
    headings += [f"{measure}, {window}" for window in windows for measure in ("Frechet", "overlap", "KL")]
    lines = [
        [row.label, result.name, name, *_line(found[result.name][name], windows)]
        for row in rows
        for result in row.found
        if result.name in found
        for name in (WITHOUT, WITH)
    ]
    return markdown(headings, [*lines, ["random notes", ABSENT, ABSENT, *_line(noise, windows)]])


def _line(one: Mapping[str, Any], windows: Sequence[str]) -> Iterator[str]:
    yield str(one["pieces"])
    for window in windows:
        floor = one["floors"].get(window)
        cell = cells(_distances(one["distances"][window]), _distances(floor) if floor else None)
        for key, text in (
            ("frechet", f"{cell['frechet']} {cell['interval']}".rstrip()),
            ("overlap", cell["overlap"]),
            ("kl", cell["kl"]),
        ):
            yield f"{text}, floor {cell[f'{key}_floor']}" if floor else text


def _distances(value: Mapping[str, Any]) -> Distances:
    frechet = FrechetDistance(**value["frechet"]) if value["frechet"] else None
    return Distances(frechet, value["overlap"], value["kl_nats"], by_measure={})


def not_judged(names: Sequence[str], finished: Container[str], judged: Container[str]) -> str:
    """Which runs of a table have no judged pieces, and why; empty if all have."""
    without = [name for name in names if name in finished and name not in judged]
    left = [name for name in names if name not in finished]
    reasons = (("Not judged yet, or the run's folder was not kept", without), ("Not finished", left))
    return " ".join(f"{why}: {', '.join(those)}." for why, those in reasons if those)
