"""A piano roll as a PNG, the prompt in another colour than its continuation."""

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from jaxtyping import Bool

from pianogen.render.systems import INK, corners_of, draw_systems, visible
from pianogen.tokens.notes import Notes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NOTE_COLOUR = "#1f5fa8"
_PROMPT_COLOUR = "#e08a1e"
_PROMPT_BACKGROUND = "#fef4e4"


def piano_roll(
    notes: Notes,
    file: str | Path | BinaryIO,
    *,
    steps_per_quarter: int = 4,
    bar_steps: float | None = None,
    prompt_steps: int | None = None,
    title: str = "",
) -> None:
    """Draw notes; those that begin before `prompt_steps` are the prompt, in another colour.

    A bar is `bar_steps` long, by default four quarters. The same notes give the same bytes.
    """
    figure, systems = draw_systems(notes, steps_per_quarter, bar_steps)
    is_prompt = notes.onset < (prompt_steps or 0)
    for axes in systems:
        _draw_prompt_background(axes, prompt_steps or 0)
        _draw_notes(axes, notes, is_prompt)
    _draw_heading(systems[0], title, is_prompt, has_prompt=prompt_steps is not None)
    figure.savefig(file, format="png", metadata={"Software": None})


def _draw_prompt_background(axes: "Axes", prompt_steps: int) -> None:
    start, end = axes.get_xlim()
    if prompt_steps > start:
        axes.axvspan(start, min(prompt_steps, end), color=_PROMPT_BACKGROUND, linewidth=0, zorder=0)
        if prompt_steps <= end:
            axes.axvline(prompt_steps, color=_PROMPT_COLOUR, linewidth=1.2, linestyle=(0, (4, 2)), zorder=2)


def _draw_notes(axes: "Axes", notes: Notes, is_prompt: Bool[np.ndarray, " N"]) -> None:
    from matplotlib.collections import PolyCollection

    shown = visible(axes, notes)
    for chosen, colour in ((shown & is_prompt, _PROMPT_COLOUR), (shown & ~is_prompt, _NOTE_COLOUR)):
        corners = corners_of(notes, chosen)
        axes.add_collection(PolyCollection(list(corners), facecolor=colour, edgecolor="none", zorder=3), autolim=False)


def _draw_heading(axes: "Axes", title: str, is_prompt: Bool[np.ndarray, " N"], *, has_prompt: bool) -> None:
    from matplotlib.patches import Patch

    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    num_prompt, num_rest = int(is_prompt.sum()), int((~is_prompt).sum())
    labels = {_NOTE_COLOUR: f"{num_rest:,} notes"}
    if has_prompt:
        labels = {_PROMPT_COLOUR: f"prompt, {num_prompt:,} notes", _NOTE_COLOUR: f"continuation, {num_rest:,} notes"}
    axes.legend(
        handles=[Patch(color=colour, label=label) for colour, label in labels.items()],
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=2,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )
