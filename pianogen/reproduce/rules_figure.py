"""The paper's Figure 5 under every rule of averaging.

Reference: Abbou (2020), DeepClassic, Figure 5.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, BinaryIO

from pianogen.reproduce.rows import RULES, Row, Rule, mean_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MEASURES = ("precision", "recall", "F1")
_COLOURS = ("#9ecae1", "#4292c6", "#08519c")
_PAPER_COLOUR, _INK = "#d94801", "#333333"
_COLUMNS, _NAME_WIDTH, _BAR_WIDTH = 4, 11, 0.28


def write_rules_figure(rows: Sequence[Row], file: str | Path | BinaryIO) -> None:
    """Draw a PNG with one panel for each rule, the paper's values marked. The same rows give the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lines = -(-len(RULES) // _COLUMNS)
    figure = Figure(
        figsize=(max(2.6, 0.6 + 0.7 * len(rows)) * _COLUMNS, 0.6 + 2.6 * lines), dpi=110, layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, _COLUMNS, sharey=True, squeeze=False).ravel()
    for axes, rule in zip(panels, RULES, strict=False):
        _draw_panel(axes, rows, rule)
    handles = [Patch(color=colour, label=name) for colour, name in zip(_COLOURS, _MEASURES, strict=True)]
    label = "the paper (on its own split of MAESTRO v1)"
    marks = [Line2D([], [], color=_PAPER_COLOUR, linewidth=2, label=label)] if any(row.paper() for row in rows) else []
    figure.legend(handles=[*handles, *marks], loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    figure.savefig(file, format="png", metadata={"Software": None})


def _draw_panel(axes: "Axes", rows: Sequence[Row], rule: Rule) -> None:
    for position, row in enumerate(rows):
        values, paper = mean_percent(row, rule), row.paper()
        for index, value in enumerate(values):
            centre = position + (index - 1) * _BAR_WIDTH
            axes.bar(centre, value, _BAR_WIDTH * 0.92, color=_COLOURS[index], zorder=2)
            if paper is not None:
                axes.hlines(paper[index], centre - 0.1, centre + 0.1, color=_PAPER_COLOUR, linewidth=2, zorder=4)
        offset = {"textcoords": "offset points", "ha": "center", "fontsize": 6.5, "color": _INK, "zorder": 5}
        axes.annotate(f"{values[2]:.1f}", (position + _BAR_WIDTH, values[2]), (0, 2), **offset)
    labels = [fill(row.label, _NAME_WIDTH) for row in rows]
    axes.set_xticks(range(len(rows)), labels, fontsize=7, color=_INK, parse_math=False)
    axes.set_title(rule.title, loc="left", fontsize=9, color=_INK)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=7, labelcolor=_INK, labelleft=True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.margins(y=0.12)
