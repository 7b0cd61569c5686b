"""A piano roll as a PNG, each note in the colour of its surprise: how unlikely a model found it."""

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from jaxtyping import Float

from pianogen.render.systems import INK, QUARTERS_PER_BAR, corners_of, draw_systems, visible
from pianogen.tokens.notes import Notes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

_COLOURS = ("#a9c4dd", "#e9b44c", "#d1331f", "#5a0714")  # expected notes recede, surprising ones stand out
_MARKED_BACKGROUND = "#fbe3df"
_PERCENTILES = (25, 98)  # of the notes: the quarter below is palest, the few above are darkest
_LEAST_RANGE_NATS = 4.0  # a piece of even surprise keeps to few colours
_NUM_SWATCHES = 5


def surprise_roll(
    notes: Notes,
    surprise_nats: Float[np.ndarray, " N"],
    file: str | Path | BinaryIO,
    *,
    steps_per_quarter: int = 4,
    bar_steps: float | None = None,
    marked_bar: int | None = None,
    title: str = "",
) -> None:
    """Draw notes from pale (expected) to dark red (surprising), and shade the bar `marked_bar`, counted from 0.

    The same notes give the same bytes.
    """
    figure, systems = draw_systems(notes, steps_per_quarter, bar_steps)
    colours = _colours(surprise_nats)
    for axes in systems:
        _draw_notes(axes, notes, surprise_nats, colours)
        if marked_bar is not None:
            _mark(axes, marked_bar, bar_steps or QUARTERS_PER_BAR * steps_per_quarter)
    systems[0].set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    _draw_legend(systems[0], colours, marked=marked_bar is not None)
    figure.savefig(file, format="png", metadata={"Software": None})


def _colours(surprise_nats: Float[np.ndarray, " N"]) -> "ScalarMappable":
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    finite = surprise_nats[np.isfinite(surprise_nats)]
    low, high = np.percentile(finite, _PERCENTILES) if len(finite) else (0.0, 0.0)
    bottom = float(np.floor(low))
    top = max(float(np.ceil(high)), bottom + _LEAST_RANGE_NATS)
    return ScalarMappable(Normalize(bottom, top), LinearSegmentedColormap.from_list("surprise", _COLOURS))


def _draw_notes(axes: "Axes", notes: Notes, surprise_nats: Float[np.ndarray, " N"], colours: "ScalarMappable") -> None:
    from matplotlib.collections import PolyCollection

    shown = visible(axes, notes)
    corners, faces = corners_of(notes, shown), colours.to_rgba(surprise_nats[shown])
    axes.add_collection(PolyCollection(list(corners), facecolor=faces, edgecolor="none", zorder=3), autolim=False)


def _mark(axes: "Axes", bar: int, bar_steps: float) -> None:
    start, end = axes.get_xlim()
    left, right = bar * bar_steps, (bar + 1) * bar_steps
    if left < end and right > start:
        axes.axvspan(max(left, start), min(right, end), color=_MARKED_BACKGROUND, linewidth=0, zorder=0)


def _draw_legend(axes: "Axes", colours: "ScalarMappable", *, marked: bool) -> None:
    from matplotlib.patches import Patch

    bottom, top = colours.get_clim()
    values = np.linspace(bottom, top, _NUM_SWATCHES)
    labels = [f"{value:g}" for value in values]
    labels[0], labels[-1] = f"surprise up to {labels[0]}", f"from {labels[-1]} nats a note"
    swatches = [tuple(colour) for colour in colours.to_rgba(values).tolist()]
    handles = [Patch(color=colour, label=label) for colour, label in zip(swatches, labels, strict=True)]
    if marked:
        handles.append(Patch(color=_MARKED_BACKGROUND, label="the most surprising bar"))
    axes.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        columnspacing=1.0,
        handlelength=1.2,
    )
