"""The learning curves: as a figure, and what their slopes would say about longer training."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from pianogen.evaluation.report import MODEL_NAMES, PAPER_PERCENT
from pianogen.reproduce.results import Result
from pianogen.reproduce.rows import ABSENT, markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"rnn": "#9ecae1", "lstm": "#4292c6", "attn": "#08519c"}
_BEYOND_COLOUR, _INK = "#e6550d", "#333333"
# of one shard set each, as many as the plan of the repository has
_LINES = ("-", ":", "--", "-.", (0, (6, 1.5)), (0, (1, 3)), (0, (6, 1.5, 1, 1.5, 1, 1.5)))
_UNFINISHED: dict[str, Any] = {"marker": "o", "markersize": 4, "markerfacecolor": "white", "markeredgecolor": _INK}
_PANELS = (("nll", 1, "validation NLL, nats per token"), ("weighted_f1", 100, "validation weighted F1, percent"))
_MIN_POINTS = 4


def write_curves(results: Sequence[Result], shard_sets: Mapping[str, str], file: str | Path | BinaryIO) -> None:
    """Draw NLL and weighted F1 against tokens for every run as a PNG. The same results give the same bytes.

    Args:
        shard_sets: The name of the shards of each run, by the run's name.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    results = [result for result in results if result.curve]
    names = dict.fromkeys(shard_sets[result.name] for result in results)
    lines: dict[str, Any] = dict(zip(names, itertools.cycle(_LINES), strict=False))
    figure = Figure(figsize=(10.0, 4.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, scale, title) in zip(figure.subplots(1, 2), _PANELS, strict=True):
        for result in results:
            _draw_curve(axes, result, name, scale, lines[shard_sets[result.name]])
        _finish(axes, title)
    colours = {_kind_name(result): _colour(result) for result in results}
    handles = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    handles += [Line2D([], [], color=_INK, linestyle=line, label=name) for name, line in lines.items()]
    if not all(result.is_finished for result in results):
        handles.append(Line2D([], [], linestyle="", label="unfinished", **_UNFINISHED))
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), frameon=False, fontsize=8)
    figure.savefig(file, format="png", metadata={"Software": None})


def _draw_curve(axes: "Axes", result: Result, name: str, scale: float, line: Any) -> None:
    tokens = [point["tokens"] for point in result.curve]
    values = [scale * point[name] for point in result.curve]
    axes.plot(tokens, values, color=_colour(result), linewidth=1.2, linestyle=line)
    if not result.is_finished:
        axes.plot(tokens[-1:], values[-1:], **_UNFINISHED)


def _finish(axes: "Axes", title: str) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("targets seen", fontsize=8, color=_INK)
    axes.set_title(title, loc="left", fontsize=10, color=_INK)
    axes.grid(color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8, labelcolor=_INK)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _colour(result: Result) -> str:
    return _COLOURS[result.kind] if result.is_of_the_paper else _BEYOND_COLOUR


def _kind_name(result: Result) -> str:
    return MODEL_NAMES[result.kind] if result.is_of_the_paper else "beyond the paper"


@dataclass(frozen=True)
class Slope:
    """A line through the second half of a curve, over the logarithm of the tokens."""

    nll_per_doubling: float
    f1_per_doubling: float
    """In percentage points."""
    last_tokens: int
    last_f1: float
    """In percent, on the line."""

    def tokens_for(self, f1: float) -> float | None:
        """The tokens at which the line reaches a weighted F1 in percent; None if it does not rise."""
        if self.f1_per_doubling <= 0:
            return None
        doublings = (f1 - self.last_f1) / self.f1_per_doubling
        return self.last_tokens * 2**doublings if doublings < 1000 else None


def slope_of(result: Result) -> Slope | None:
    """Least squares over the validations in the second half of the tokens; None if there are too few."""
    last = result.curve[-1]["tokens"] if result.curve else 0
    points = [point for point in result.curve if point["tokens"] >= last / 2]
    if len(points) < _MIN_POINTS:
        return None
    doublings = np.log2([point["tokens"] / last for point in points])
    nll, f1 = (np.polyfit(doublings, [point[name] for point in points], 1) for name in ("nll", "weighted_f1"))
    return Slope(float(nll[0]), 100 * float(f1[0]), int(last), 100 * float(f1[1]))


def extrapolation_table(results: Sequence[Result]) -> str | None:
    """For the longest run of each of the paper's models, the tokens at which its slope would reach the paper's F1."""
    longest: dict[str, Result] = {}
    for result in results:
        if not result.is_of_the_paper:
            continue
        if result.kind not in longest or result.tokens > longest[result.kind].tokens:
            longest[result.kind] = result
    lines = [line for result in longest.values() if (line := _line(result))]
    headings = [
        "run",
        "tokens",
        "NLL per doubling",
        "weighted F1 per doubling",
        "paper's F1",
        "extrapolated tokens for it",
    ]
    return markdown(headings, lines) if lines else None


def _line(result: Result) -> list[str] | None:
    slope, paper = slope_of(result), PAPER_PERCENT.get(result.kind, {}).get("test")
    if slope is None:
        return None
    tokens = slope.tokens_for(paper[2]) if paper else None
    return [
        result.name,
        f"{slope.last_tokens:,}",
        f"{slope.nll_per_doubling:+.3f}",
        f"{slope.f1_per_doubling:+.2f} points",
        f"{paper[2]:.1f}" if paper else ABSENT,
        ABSENT if tokens is None else _magnitude(tokens),
    ]


def _magnitude(tokens: float) -> str:
    """Two significant digits: more would claim what a line through a curve does not know."""
    digits = math.floor(math.log10(tokens)) - 1
    return f"{round(tokens, -digits):,.0f}" if tokens < 1e15 else f"{tokens:.0e}"
