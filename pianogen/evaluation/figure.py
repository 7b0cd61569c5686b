"""The paper's Figure 5: precision, recall and F1 of every model and baseline, as a picture.

Reference: Abbou (2020), DeepClassic, Figure 5.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, BinaryIO, Literal

from pianogen.evaluation.report import ComparisonRow, has_paper
from pianogen.evaluation.results import percentages

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = ("precision", "recall", "F1")
_COLOURS = ("#9ecae1", "#4292c6", "#08519c")
_PAPER_COLOUR = "#d94801"
_INK = "#333333"
_NAME_WIDTH = 11  # characters that fit under one group of bars
_BAR_WIDTH = 0.28  # of the distance between two models
_RULES: tuple[tuple[Literal["weighted", "macro"], str], ...] = (
    ("weighted", "weighted by class size"),
    ("macro", "macro, all classes alike"),
)


def write_figure(rows: Sequence[ComparisonRow], file: str | Path | BinaryIO) -> None:
    """Draw grouped bars as a PNG: one panel per split and averaging rule, baselines dashed, the paper's values marked.

    The same rows give the same bytes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    splits = list(dict.fromkeys(split for row in rows for split in row.splits))
    size = max(4.6, 0.8 + 0.76 * len(rows)) * len(_RULES), 0.9 + 2.5 * len(splits)
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(splits), len(_RULES), sharey=True, squeeze=False)
    for split, line in zip(splits, panels, strict=True):
        for (rule, title), axes in zip(_RULES, line, strict=True):
            _draw_panel(axes, [row for row in rows if split in row.splits], split, rule)
            axes.set_title(f"{split}: {title}", loc="left", fontsize=10, color=_INK)
        line[0].set_ylabel("percent", color=_INK)
    _draw_legend(figure, paper=has_paper(rows), baseline=any(not row.kind for row in rows))
    figure.savefig(file, format="png", metadata={"Software": None})


def _draw_panel(axes: "Axes", rows: Sequence[ComparisonRow], split: str, rule: Literal["weighted", "macro"]) -> None:
    for position, row in enumerate(rows):
        values, paper = percentages(row.splits[split], rule), row.paper(split)
        for index, value in enumerate(values):
            centre = position + (index - 1) * _BAR_WIDTH
            _draw_bar(axes, centre, value, _COLOURS[index], dashed=row.kind is None)
            if paper is not None:
                axes.hlines(paper[index], centre - 0.1, centre + 0.1, color=_PAPER_COLOUR, linewidth=2, zorder=4)
        axes.annotate(
            f"{values[2]:.1f}",
            (position + _BAR_WIDTH, values[2]),
            (0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=6.5,
            color=_INK,
            zorder=5,
        )
    axes.set_xticks(
        range(len(rows)), [fill(row.name, _NAME_WIDTH) for row in rows], fontsize=8, color=_INK, parse_math=False
    )
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8, labelcolor=_INK, labelleft=True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.margins(y=0.12)


def _draw_bar(axes: "Axes", centre: float, height: float, colour: str, *, dashed: bool) -> None:
    if dashed:
        axes.bar(
            centre, height, _BAR_WIDTH * 0.86, facecolor="white", edgecolor=colour, linestyle=(0, (3, 2)), zorder=2
        )
    else:
        axes.bar(centre, height, _BAR_WIDTH * 0.92, color=colour, zorder=2)


def _draw_legend(figure: "Figure", *, paper: bool, baseline: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = [
        Patch(color=colour, label=name) for colour, name in zip(_COLOURS, MEASURES, strict=True)
    ]
    if baseline:
        handles.append(Patch(facecolor="white", edgecolor=_COLOURS[2], linestyle=(0, (3, 2)), label="baseline"))
    if paper:
        label = "the paper (on its own split of MAESTRO v1)"
        handles.append(Line2D([], [], color=_PAPER_COLOUR, linewidth=2, label=label))
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), frameon=False, fontsize=9)
