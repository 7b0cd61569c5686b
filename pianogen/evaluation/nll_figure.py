"""The comparison of runs of different shards as a picture: nats per note by what they predict, and nats per second."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, BinaryIO

from pianogen.evaluation.shard_report import ShardsRow, tokenizer_label
from pianogen.metrics import GROUPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"note": "#08519c", "wait": "#4292c6", "duration": "#9ecae1", "end": "#d9d9d9"}
_LABELS = {"note": "which note", "wait": "waits", "duration": "lengths of notes", "end": "end"}
_BASELINE_COLOUR = "#bdbdbd"
_INK = "#333333"
_NAME_WIDTH = 13  # characters that fit under one bar
_INCHES_PER_ROW = 1.0


def write_nll_figure(rows: Sequence[ShardsRow], file: str | Path | BinaryIO) -> None:
    """Draw a PNG of two panels with a bar for each row; the same rows give the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 * max(4.6, 0.8 + _INCHES_PER_ROW * len(rows)), 4.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    by_note, by_second = figure.subplots(1, 2)
    _draw_parts(by_note, rows)
    per_second = [row.found["nll"]["nats_per_second"] or 0.0 for row in rows]
    colours = [_COLOURS["note"] if row.kind else _BASELINE_COLOUR for row in rows]
    by_second.bar(range(len(rows)), per_second, 0.6, color=colours, zorder=2)
    for axes, title, totals in (
        (by_note, "NLL, nats per note", [row.found["nll"]["nats_per_note"] or 0.0 for row in rows]),
        (by_second, "NLL, nats per second of music", per_second),
    ):
        _finish(axes, rows, title, totals)
    by_note.legend(loc="upper left", bbox_to_anchor=(0, -0.22), ncols=len(GROUPS), frameon=False, fontsize=8)
    figure.savefig(file, format="png", metadata={"Software": None})


def _draw_parts(axes: "Axes", rows: Sequence[ShardsRow]) -> None:
    parts = [row.nats_per_note() for row in rows]
    below = [0.0] * len(rows)
    for name in GROUPS:
        values = [one[name] for one in parts]
        axes.bar(range(len(rows)), values, 0.6, below, color=_COLOURS[name], label=_LABELS[name], zorder=2)
        below = [low + value for low, value in zip(below, values, strict=True)]


def _finish(axes: "Axes", rows: Sequence[ShardsRow], title: str, totals: Sequence[float]) -> None:
    """Write the values above the bars, and the names below them."""
    for position, total in enumerate(totals):
        axes.annotate(
            f"{total:.2f}", (position, total), (0, 2), textcoords="offset points", ha="center", fontsize=8, color=_INK
        )
    names = [f"{fill(row.name, _NAME_WIDTH)}\n{fill(tokenizer_label(row, rows), _NAME_WIDTH)}" for row in rows]
    axes.set_xticks(range(len(rows)), names, fontsize=7.5, color=_INK, parse_math=False)
    axes.set_title(title, loc="left", fontsize=10, color=_INK)
    axes.set_ylim(0, 1.1 * max(totals, default=1.0) or 1.0)
    axes.grid(axis="y", color="#e6e6e6", zorder=0)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
