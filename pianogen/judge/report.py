"""The report: one HTML file with a table, plots, measures, structure, and players."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pianogen.config import JudgeConfig
from pianogen.judge.comparison import Distances, Judgement
from pianogen.judge.copying import MIN_NOTES
from pianogen.judge.features import SCALARS, window_names
from pianogen.judge.originality import Originality, longest, rows
from pianogen.judge.piece_sets import NamedPiece, PieceSet
from pianogen.judge.plots import Curve, Dot, curves, dot_plot
from pianogen.judge.spacing import spread
from pianogen.judge.table import cells, shown
from pianogen.metrics.music import METRICS, Metric, Piece, self_similarity
from pianogen.metrics.music.windows import SECONDS_PER_QUARTER
from pianogen.metrics.originality import FORMS
from pianogen.render import player, render_template

_COLOURS = ("#2f6fbb", "#d9821a", "#3d9a5f", "#a2559c", "#c2453c", "#5b6fd6", "#8a7a1f", "#168a94")
_ROLE_COLOURS = {"reference": "#4a4a4a", "floor": "#8b8b8b", "noise": "#b5a898", "raw": "#6b6b9b"}
_MAX_SIMILARITY_FRAMES = 240  # a longer piece is cut: one pixel a second
_LEAST_WINDOWS = 0.8  # of those of the reference, in a piece
_PLAYED_S = 90.0  # of each piece in the report


@dataclass(frozen=True, eq=False)
class Report:
    """What the report shows."""

    judgements: Sequence[Judgement]
    """The reference first, its floor second, noise last."""
    sets: Sequence[PieceSet]
    originality: Sequence[Originality]
    """The human baseline first; empty if copies were not searched for."""
    reference: str
    config: JudgeConfig

    @cached_property
    def windows(self) -> list[str]:
        """The lengths of windows."""
        return window_names(self.config.windows_s)

    @cached_property
    def colours(self) -> dict[str, str]:
        """A colour for each set."""
        judged = [one.name for one in self.judgements if one.role == "judged"]
        own = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(judged)}
        return {one.name: own.get(one.name, _ROLE_COLOURS.get(one.role, "")) for one in self.judgements}


def page(report: Report) -> str:
    """The report as HTML that loads nothing else."""
    judged = [one for one in report.judgements if one.role == "judged"]
    return render_template(
        "judge.html",
        title="Judged: " + ", ".join(one.name for one in judged),
        judged=judged,
        reference=report.reference,
        windows=report.windows,
        settings=report.config,
        colours=report.colours,
        rows=[_row(one, report) for one in report.judgements],
        curve=_curve(report),
        notes=_notes(report),
        panels=_panels(report),
        areas=_areas(report),
        structures=[_structure(one, report) for one in report.sets],
        max_seconds=_MAX_SIMILARITY_FRAMES,
        players=[{"name": one.name, "pieces": _players(one, report)} for one in report.sets],
        definitions=METRICS,
        forms=[form.name for form in FORMS],
        originality=rows(report.originality),
        copied=list(longest(report.originality)),
        min_run=MIN_NOTES,
    )


def _row(one: Judgement, report: Report) -> dict[str, Any]:
    found = {
        window: cells(one.distances[window], one.floors.get(window))
        for window in report.windows
        if window in one.distances
    }
    minutes = f"{one.median_seconds / 60:.1f} min" if one.median_seconds >= 90 else f"{one.median_seconds:.0f} s"
    return {"name": one.name, "role": one.role, "pieces": one.pieces, "length": minutes, "found": found}


def _notes(report: Report) -> list[str]:
    """What a reader must know before comparing."""
    reference, notes, lengths = report.judgements[0], [], []
    for one in report.judgements:
        for reason in one.left_out[:5]:
            notes.append(f"{one.name}: left out {reason}")
        if len(one.left_out) > 5:
            notes.append(f"{one.name}: {len(one.left_out)} files left out")
        ratio = one.median_seconds / max(reference.median_seconds, 1e-9)
        if one.role == "judged" and not 1 / 1.5 <= ratio <= 1.5:
            lengths.append(f"{one.name} {one.median_seconds:,.0f} s")
    if lengths:
        notes.append(
            "Compare windows rather than whole pieces, or beginnings (--first_seconds): those of the reference last "
            f"{reference.median_seconds:,.0f} s (median), but {', '.join(lengths)}."
        )
    return notes + _other_grids(report) + (_cut_windows(report) if report.config.first_seconds else [])


def _other_grids(report: Report) -> list[str]:
    """Sets of pieces whose notes are rounded to other steps than those of the reference."""
    (grid,), *others = ({named.piece.steps_per_quarter for named in one.pieces} for one in report.sets)
    return [
        f"{one.name} has {', '.join(map(str, sorted(found)))} steps per quarter, but the reference {grid}: their "
        "distance is also that of the grids; of a folder, --tokenizer.steps_per_quarter sets the grid."
        for one, found in zip(report.sets[1:], others, strict=True)
        if one.role == "judged" and found != {grid}
    ]


def _cut_windows(report: Report) -> list[str]:
    """Sets of pieces that end a little before the seconds compared, and so lack their last window."""
    reference, *others = report.judgements
    notes = []
    for window in report.windows:
        least = _LEAST_WINDOWS * _windows_a_piece(reference, window)
        few = [one for one in others if one.role == "judged" and _windows_a_piece(one, window) < least]
        if few:
            found = ", ".join(f"{one.name} {_windows_a_piece(one, window):.1f}" for one in few)
            notes.append(
                f"Windows of {window} in a piece: {found}, but {_windows_a_piece(reference, window):.1f} in the "
                "reference, so that other parts are compared; pieces that last some seconds longer than "
                "--first_seconds have as many."
            )
    return notes


def _windows_a_piece(one: Judgement, window: str) -> float:
    return next(iter(one.means[window].values())).windows / max(one.pieces, 1)


def _curve(report: Report) -> Any:
    lines = []
    for one in report.judgements[1:]:
        at = [one.distances[window] for window in report.windows]
        lines.append(_line(one.name, report.colours[one.name], at, dashed=one.role in ("floor", "noise")))
    return curves(report.windows, lines, "Frechet distance to the reference by length of window")


def _line(label: str, colour: str, at: Sequence[Distances], *, dashed: bool) -> Curve:
    found = [one.frechet for one in at]
    values, low, high = ([getattr(one, name) if one else None for one in found] for name in ("distance", "low", "high"))
    return Curve(label, colour, values, low, high, dashed)


def _panels(report: Report) -> list[dict[str, Any]]:
    panels = []
    for metric in SCALARS:
        plots = {
            window: dot_plot([_dot(one, metric.name, window, report) for one in report.judgements])
            for window in report.windows
            if any(one.means[window][metric.name].value is not None for one in report.judgements)
        }
        panels.append({"metric": metric, "plots": plots, "undefined": _undefined(metric, report)})
    return panels


def _dot(one: Judgement, name: str, window: str, report: Report) -> Dot:
    mean = one.means[window][name]
    return Dot(one.name, report.colours[one.name], mean.value, mean.low, mean.high)


def _undefined(metric: Metric, report: Report) -> str:
    """In how many windows of each set a measure is not defined, where it is not everywhere or nowhere."""
    parts = []
    for window in report.windows:
        means = [(one.name, one.means[window][metric.name]) for one in report.judgements]
        few = [f"{name} {m.windows - m.defined} of {m.windows}" for name, m in means if 0 < m.defined < m.windows]
        if few:
            parts.append(f"{window}: {', '.join(few)}")
    return "; ".join(parts)


def _areas(report: Report) -> list[dict[str, Any]]:
    """Overlapping areas of each measure, a table for each length of window."""
    compared = report.judgements[1:]
    tables = []
    for window in report.windows:
        found = [(one, one.distances[window].by_measure) for one in compared]
        rows = []
        for metric in METRICS:
            areas = [measures[metric.name] for _, measures in found]
            if any(areas):
                rows.append({"title": metric.title, "cells": [_area(area) for area in areas]})
        tables.append({"window": window, "names": [one.name for one, _ in found], "rows": rows})
    return tables


def _area(found: dict[str, float] | None) -> dict[str, Any]:
    if found is None:
        return {"text": "-", "share": 0, "title": "not defined"}
    title = f"KL {shown(found['kl_nats'])} nats, bandwidth {shown(found['bandwidth'])}"
    return {"text": f"{100 * found['area']:.0f}", "share": round(found["area"], 3), "title": title}


def _middle(one: PieceSet) -> NamedPiece:
    """A piece of median length."""
    return sorted(one.pieces, key=lambda named: named.piece.num_steps)[len(one.pieces) // 2]


def _structure(one: PieceSet, report: Report) -> dict[str, Any]:
    named = _middle(one)
    return {
        "name": one.name,
        "piece": named.name,
        "picture": _picture(self_similarity(named.piece)[:_MAX_SIMILARITY_FRAMES, :_MAX_SIMILARITY_FRAMES]),
        "seconds": min(int(named.piece.seconds), _MAX_SIMILARITY_FRAMES),
        "colour": report.colours[one.name],
    }


def _picture(similarity: np.ndarray) -> str:
    """A self-similarity matrix as the URL of a PNG."""
    from matplotlib.image import imsave

    if not similarity.size:
        return ""
    file = io.BytesIO()
    imsave(file, similarity, cmap="magma_r", vmin=0.5, vmax=1, format="png", metadata={"Software": "pianogen"})
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _players(one: PieceSet, report: Report) -> list[dict[str, Any]]:
    chosen = [one.pieces[index] for index in spread(len(one.pieces), report.config.players)]
    return [
        {"name": named.name, "player": _player(_beginning(named.piece), f"{one.name}, {named.name}")}
        for named in chosen
    ]


def _beginning(piece: Piece) -> Piece:
    notes = piece.notes
    kept = int(np.searchsorted(notes.onset, _PLAYED_S * piece.steps_per_second))
    return Piece(notes.select(slice(kept)), piece.steps_per_quarter)


def _player(piece: Piece, label: str) -> Any:
    spq = piece.steps_per_quarter
    return player(piece.notes, seconds_per_step=SECONDS_PER_QUARTER / spq, steps_per_quarter=spq, label=label)
