"""The trials of a sweep as a figure: NLL by trial, and by the value of each setting."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from pianogen.files import write_atomic
from pianogen.sweep.results import FIGURE, TrialRow, best_of, rows_of, short
from pianogen.sweep.space import Choice, Range, Searched
from pianogen.sweep.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _PALE, _BEST = "#333333", "#9ecae1", "#d94801"
_MARKERS: dict[str, dict[str, Any]] = {  # by state of the trial; later ones are drawn on top
    "running": {"marker": "o", "facecolors": "white", "edgecolors": "#aaaaaa"},
    "failed": {"marker": "x", "color": "#888888"},
    "pruned": {"marker": "o", "facecolors": "white", "edgecolors": "#4292c6"},
    "finished": {"marker": "o", "color": "#08519c"},
}
_COLUMNS = 3
_AXIS_RATIO = 3  # the axis ends at this multiple of the distance from the best trial to the median
_MAX_TICKS = 8


def redraw(study: Study) -> None:
    """Redraw the figure in the sweep's folder from all trials so far."""
    with study.locked(".picture.lock"):  # a lock of its own, so that no worker waits for a figure to claim a trial
        rows, image = rows_of(study.trials()), io.BytesIO()
        if any(_is_shown(row) for row in rows):
            write_figure(rows, study.space.searched, image)
            write_atomic(study.folder / FIGURE, image.getvalue())


def _is_shown(row: TrialRow) -> bool:
    return math.isfinite(row.nll) or row.state == "failed"


def write_figure(rows: Sequence[TrialRow], searched: Mapping[str, Searched], file: str | Path | BinaryIO) -> None:
    """Draw a PNG: the NLL of each trial with the best so far, and below it a panel for each setting.

    Trials far above the others, and failed ones without any NLL, are at the upper edge. The same rows give the same
    bytes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = sorted(filter(_is_shown, rows), key=lambda row: row.number)
    columns = min(_COLUMNS, len(searched))
    lines = math.ceil(len(searched) / columns)
    width = max(7.0, 3.6 * columns)
    figure = Figure(figsize=(width, 3.0 + 2.5 * lines), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1 + lines, columns, hspace=0.08)
    history = figure.add_subplot(grid[0, :])
    low, edge = _limits(rows)
    history.set_ylim(low - 0.08 * (edge - low), edge + 0.08 * (edge - low))
    _draw_history(history, rows, edge)
    for index, (name, what) in enumerate(searched.items()):
        axes = figure.add_subplot(grid[1 + index // columns, index % columns], sharey=history)
        axes.tick_params(labelleft=index % columns == 0)
        _draw_setting(axes, [row for row in rows if name in row.settings], edge, name, what)
    legend = {"loc": "outside upper left", "ncols": int(width / 1.5), "frameon": False, "fontsize": 9}
    figure.legend(*history.get_legend_handles_labels(), **legend)
    figure.savefig(file, format="png", metadata={"Software": None})


def _limits(rows: Sequence[TrialRow]) -> tuple[float, float]:
    """The lowest NLL and the highest that is drawn: a diverged trial would compress all others into one line."""
    values = [row.nll for row in rows if math.isfinite(row.nll)] or [0.0]
    low, median, high = (float(value) for value in np.quantile(values, [0, 0.5, 1]))
    edge = min(high, low + _AXIS_RATIO * (median - low)) if median > low else high
    return (low, edge) if edge > low else (low - 0.05, low + 0.05)


def _draw_history(axes: "Axes", rows: Sequence[TrialRow], edge: float) -> None:
    from matplotlib.ticker import MaxNLocator

    last = max((row.number for row in rows), default=0)
    finished = [row for row in rows if row.state == "finished"]
    if finished:
        so_far = np.minimum.accumulate([row.nll for row in finished])
        numbers = [row.number for row in finished]
        line = {"color": _PALE, "linewidth": 1.6, "zorder": 1}
        axes.step([*numbers, last], [*so_far, so_far[-1]], where="post", label="best so far", **line)
    _draw_trials(axes, rows, [row.number for row in rows], edge)
    axes.set_xlim(-0.6, last + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _finish(axes, "lowest validation NLL of each trial, nats per token")


def _draw_setting(axes: "Axes", rows: Sequence[TrialRow], edge: float, name: str, what: Searched) -> None:
    if isinstance(what, Choice):
        positions = {value: position for position, value in enumerate(what.values)}
        # jittered, in the same way in every figure
        xs = [positions[row.settings[name]] + 0.4 * (row.number * 0.618 % 1 - 0.5) for row in rows]
        axes.set_xticks(range(len(positions)), [short(value) for value in positions], parse_math=False)
        axes.set_xlim(-0.6, len(positions) - 0.4)
    else:
        xs = [float(row.settings[name] or 0) for row in rows]
        _scale(axes, what)
    _draw_trials(axes, rows, xs, edge)
    best = best_of(rows)
    _finish(axes, name if best is None else f"{name}, best: {short(best.settings[name])}")


def _scale(axes: "Axes", what: Range) -> None:
    """Show the whole range: a best trial at its end means that the range was too narrow."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if what.log:
        axes.set_xscale("log")
        margin = (what.high / what.low) ** 0.04
        axes.set_xlim(what.low / margin, what.high * margin)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if what.high / what.low < 100 else (1,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, index: f"{value:g}"))
        return
    margin = 0.04 * (what.high - what.low)
    axes.set_xlim(what.low - margin, what.high + margin)
    step = what.step or (1 if what.whole else None)
    if step and (what.high - what.low) / step < _MAX_TICKS:
        points = what.points() or []
        axes.set_xticks(points, [short(point) for point in points])


def _draw_trials(axes: "Axes", rows: Sequence[TrialRow], xs: Sequence[float], edge: float) -> None:
    for state, marker in _MARKERS.items():
        for above in (False, True):
            dots = [
                (x, min(row.nll, edge))
                for row, x in zip(rows, xs, strict=True)
                if row.state == state and (row.nll > edge) == above
            ]
            shape = {"marker": "^", "label": f"{state}, above the axis"} if above and state != "failed" else {}
            if dots:
                axes.scatter(*zip(*dots, strict=True), **{"s": 26, "zorder": 3, "label": state, **marker, **shape})
    best = best_of(rows)
    if best:
        point = xs[list(rows).index(best)], best.nll
        label = f"best: trial {best.number:04d}, {best.nll:.4f}"
        axes.scatter(*point, s=46, color=_BEST, zorder=4, label=label)


def _finish(axes: "Axes", title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=_INK, parse_math=False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8, labelcolor=_INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
