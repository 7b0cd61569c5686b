"""The paper's Figure 6 of a study: the mean rating of each condition with its interval, as a picture.

Reference: Abbou (2020), DeepClassic, Figure 6.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, BinaryIO

from pianogen.study.analysis import Analysis, ConditionMean
from pianogen.study.design import HIGHEST, LOWEST, Condition, Design

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _GRID, _SIMULATED = "#333333", "#e5e5e5", "#b30000"
# light and dark of one hue: told apart in grey print and by colour-blind readers
_WITHOUT, _WITH = "#b5d4e9", "#3f86bf"
_STYLES: dict[str, dict[str, Any]] = {
    "reference": {"color": "#8c8c8c"},
    "raw": {"color": "#c9c9c9"},
    "anchor": {"facecolor": "white", "edgecolor": "#737373", "hatch": "////", "linewidth": 0.8},
}
_BAR_WIDTH, _PAIR_GAP = 0.38, 0.4  # of the distance between two models
_NAME_WIDTH, _TITLE_PER_INCH = 13, 9  # characters


def write_figure(design: Design, analysis: Analysis, file: str | Path | BinaryIO, form: str) -> None:
    """Draw bars with their intervals, a model's two side by side.

    The same results give the same bytes.

    Args:
        form: png or svg.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = groups_of(design.conditions)
    figure = Figure(figsize=(max(5.2, 1.5 + 1.05 * len(groups)), 4.0), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, (_, members) in enumerate(groups):
        for index, number in enumerate(members):
            x = place + (index - (len(members) - 1) / 2) * _PAIR_GAP
            _draw_bar(axes, x, design.conditions[number], analysis.means[number])
    _finish(axes, [name for name, _ in groups])
    _describe(figure, axes, design, analysis)
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "pianogen", "svg.fonttype": "none", "hatch.linewidth": 0.8}):
        figure.savefig(file, format=form, metadata=metadata)


def groups_of(conditions: Sequence[Condition]) -> list[tuple[str, list[int]]]:
    """What stands together: the conditions of a model, without the prompt first; every other condition alone."""
    groups: dict[str, list[int]] = {}
    for number, one in enumerate(conditions):
        groups.setdefault(one.model or one.name, []).append(number)
    return [(name, sorted(found, key=lambda number: conditions[number].prompted)) for name, found in groups.items()]


def _style(condition: Condition) -> dict[str, Any]:
    if condition.kind == "model":
        return {"color": _WITH if condition.prompted else _WITHOUT}
    return _STYLES[condition.kind]


def _draw_bar(axes: "Axes", x: float, condition: Condition, found: ConditionMean) -> None:
    if found.mean is None or found.low is None or found.high is None:
        _write(axes, x, LOWEST, "no ratings", rotation=90)
        return
    axes.bar(x, found.mean - LOWEST, _BAR_WIDTH, bottom=LOWEST, zorder=2, **_style(condition))
    ends = [[found.mean - found.low], [found.high - found.mean]]
    axes.errorbar(x, found.mean, yerr=ends, color="black", capsize=3, linewidth=1.2, zorder=4)
    _write(axes, x, found.high, f"{found.mean:.1f}")


def _write(axes: "Axes", x: float, y: float, text: str, **style: Any) -> None:
    above = {"textcoords": "offset points", "ha": "center", "va": "bottom"}
    axes.annotate(text, (x, y), (0, 4), fontsize=8, color=_INK, zorder=5, **above, **style)


def _finish(axes: "Axes", names: Sequence[str]) -> None:
    labels = [fill(name, _NAME_WIDTH) for name in names]
    axes.set_xticks(range(len(names)), labels, fontsize=9, color=_INK, parse_math=False)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(LOWEST, HIGHEST + 0.45)
    axes.set_yticks(range(LOWEST, HIGHEST + 1))
    axes.set_ylabel("mean rating", color=_INK)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _describe(figure: "Figure", axes: "Axes", design: Design, analysis: Analysis) -> None:
    """Title, legend, what the marks mean, and that raters are simulated."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    counts = analysis.counts
    raters = f"{counts.kept} simulated raters" if design.simulated else f"{counts.kept} raters"
    what = f"{raters}, {counts.ratings} ratings of {counts.stimuli} clips"
    title = f"{fill(design.title, int(figure.get_figwidth() * _TITLE_PER_INCH))}\n{what}"
    axes.set_title(title, loc="left", fontsize=10, color=_INK, parse_math=False)
    handles: list[Patch | Line2D] = []
    models = [one for one in design.conditions if one.kind == "model"]
    if any(not one.prompted for one in models):
        handles.append(Patch(color=_WITHOUT, label="without prompt"))
    if any(one.prompted for one in models):
        handles.append(Patch(color=_WITH, label="with prompt"))
    handles.append(Line2D([], [], color=_INK, marker="|", label="95 % interval"))
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=8.5)
    if design.simulated:
        style = {"ha": "center", "va": "center", "rotation": 24, "fontsize": 44, "alpha": 0.14, "zorder": 6}
        axes.text(0.5, 0.5, "SIMULATED", transform=axes.transAxes, color=_SIMULATED, weight="bold", **style)
        axes.set_title("simulated", loc="right", fontsize=11, color=_SIMULATED, weight="bold")
