"""The judgements of a run's pieces, in its folder and so in MLflow."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pianogen import track
from pianogen.files import write_json
from pianogen.folders import RESULTS_FOLDER, run_above
from pianogen.judge.comparison import Judgement
from pianogen.judge.piece_sets import PieceSet

_NOT_IN_NAMES = re.compile(r"[^\w-]+")
_MAX_NAME = 100  # characters; MLflow takes 250 of a metric's whole name


def mirror(sets: Sequence[PieceSet], judgements: Sequence[Judgement], compared: Mapping[str, Any]) -> None:
    """Write RUN/evaluation/judge.json for pieces below a run folder, and mirror it; a failure there is a warning.

    `compared` says what with, and how much of it: distances of two files with other values cannot be compared.
    The metrics begin with judge/ or, of pieces with a prompt, judge-prompt/. Where a run has several sets of either
    kind, the set's name follows.
    """
    by_run: dict[Path, list[tuple[PieceSet, Judgement]]] = {}
    for one, judgement in zip(sets, judgements, strict=True):
        folder = one.pieces[0].folder if one.role == "judged" else None
        if folder and (run := run_above(folder)):
            by_run.setdefault(run, []).append((one, judgement))
    for run, found in by_run.items():
        metrics: dict[str, float] = {}
        for prefix, (_, judgement) in zip(_prefixes([one for one, _ in found]), found, strict=True):
            metrics |= _metrics(prefix, judgement)
        (run / RESULTS_FOLDER).mkdir(exist_ok=True)
        content = {"step": found[-1][0].pieces[0].step, **compared, "metrics": metrics}
        write_json(run / RESULTS_FOLDER / "judge.json", content)
        if track.is_on():
            track.sync_or_warn(run)


def metric_name(name: str) -> str:
    """A name as a part of a metric's name, which takes few marks."""
    return _NOT_IN_NAMES.sub("-", name)[:_MAX_NAME]


def _prefixes(sets: Sequence[PieceSet]) -> list[str]:
    """What the metrics of each set of a run begin with, all different."""
    kinds = ["judge-prompt" if one.has_prompt else "judge" for one in sets]
    found: list[str] = []
    for one, kind in zip(sets, kinds, strict=True):
        prefix = kind if kinds.count(kind) == 1 else f"{kind}/{metric_name(one.name)}"
        while prefix in found:  # names that differ only in what MLflow does not take
            prefix += "-2"
        found.append(prefix)
    return found


def _metrics(prefix: str, judgement: Judgement) -> dict[str, float]:
    found: dict[str, float | None] = {}
    for name, distance in judgement.distances.items():
        window = f"{prefix}/{name.replace(' ', '')}"
        found[f"{window}/frechet"] = distance.frechet.distance if distance.frechet else None
        found[f"{window}/overlap"], found[f"{window}/kl"] = distance.overlap, distance.kl_nats
    for name, measures in judgement.means.items():
        found |= {f"{prefix}/{name.replace(' ', '')}/{measure}": mean.value for measure, mean in measures.items()}
    return {name: value for name, value in found.items() if value is not None}
