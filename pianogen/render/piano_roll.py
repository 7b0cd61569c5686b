"""A piano roll as a PNG: pitch upwards, time in bars to the right, long pieces on several systems as in a score."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from jaxtyping import Bool, Float, Int

from pianogen.tokens.notes import Notes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUARTERS_PER_BAR = 4
_MAX_SYSTEMS = 16  # a longer piece gets longer systems
_BARS_PER_SYSTEM = 8  # at least; doubled until the systems are few enough
_WIDTH_INCHES = 11.0
_INCHES_PER_SEMITONE = 0.042
_DPI = 130
_NOTE_HEIGHT = 0.86  # of a semitone
_NOTE_GAP = 0.12  # steps; separates repeated notes
_MAX_BAR_LINES = 16  # on one line; more would hide the notes
_BLACK_KEYS = (1, 3, 6, 8, 10)  # pitch classes

_NOTE_COLOUR = "#1f5fa8"
_PROMPT_COLOUR = "#e08a1e"
_PROMPT_BACKGROUND = "#fef4e4"
_BLACK_KEY_ROW = "#0000000c"  # transparent over the background of the prompt
_BAR_LINE = "#c4c4c4"
_BEAT_LINE = "#e6e6e6"
_INK = "#333333"


def piano_roll(
    notes: Notes,
    file: str | Path | BinaryIO,
    *,
    steps_per_quarter: int = 4,
    bar_steps: int | None = None,
    prompt_steps: int | None = None,
    title: str = "",
) -> None:
    """Draw notes; those that begin before `prompt_steps` are the prompt, in another colour.

    A bar is `bar_steps` long, by default four quarters. The same notes give the same bytes.
    """
    bar_steps = bar_steps or QUARTERS_PER_BAR * steps_per_quarter
    num_bars = max(1, math.ceil(int((notes.onset + notes.duration).max(initial=0)) / bar_steps))
    system_bars = _bars_per_system(num_bars)
    num_systems = math.ceil(num_bars / system_bars)
    figure, systems = _systems(num_systems, _pitch_range(notes))
    is_prompt = notes.onset < (prompt_steps or 0)
    for index, axes in enumerate(systems):
        axes.set_xlim(index * system_bars * bar_steps, (index + 1) * system_bars * bar_steps)
        _draw_grid(axes, num_bars * bar_steps, bar_steps, steps_per_quarter)
        _draw_prompt_background(axes, prompt_steps or 0)
        _draw_notes(axes, notes, is_prompt)
    _draw_heading(systems[0], title, is_prompt, has_prompt=prompt_steps is not None)
    figure.savefig(file, format="png", metadata={"Software": None})


def _systems(count: int, pitch_range: tuple[int, int]) -> "tuple[Figure, list[Axes]]":
    """An empty figure with its systems, from top to bottom."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    low, high = pitch_range
    height = 0.4 + count * (0.3 + _INCHES_PER_SEMITONE * (high - low + 1))
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    systems = list(figure.subplots(count, 1, squeeze=False)[:, 0])
    for axes in systems:
        axes.set_ylim(low - 0.5, high + 0.5)
    return figure, systems


def _bars_per_system(num_bars: int) -> int:
    """A short piece fills one line; a longer one gets lines of 8, 16, 32, ... bars."""
    bars = _BARS_PER_SYSTEM
    while num_bars > bars * _MAX_SYSTEMS:
        bars *= 2
    return min(num_bars, bars)


def _pitch_range(notes: Notes) -> tuple[int, int]:
    """From just below the lowest note to just above the highest, at least three octaves."""
    lowest, highest = (int(notes.pitch.min()), int(notes.pitch.max())) if len(notes) else (60, 60)
    spare = max(0, 36 - (highest - lowest))
    return lowest - 2 - spare // 2, highest + 2 + spare // 2


def _draw_grid(axes: "Axes", end: int, bar_steps: int, beat_steps: int) -> None:
    """Rows of black keys shaded, a line at each C, each bar and, where there is room, each beat, as far as `end`."""
    (start, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    end = min(end, int(right))
    black = [pitch for pitch in range(math.ceil(low), math.ceil(high)) if pitch % 12 in _BLACK_KEYS]
    axes.bar(
        [start] * len(black), 1, end - start, np.array(black) - 0.5, align="edge", color=_BLACK_KEY_ROW, zorder=0.5
    )
    octaves = np.arange(math.ceil(low / 12) * 12, high, 12)
    axes.hlines(octaves - 0.5, start, end, color=_BAR_LINE, linewidth=0.6, zorder=1)
    every = math.ceil((right - start) / bar_steps / _MAX_BAR_LINES)
    bars = np.arange(start, right + 1, every * bar_steps)
    if every == 1:
        axes.vlines(np.arange(start, end, beat_steps), low, high, color=_BEAT_LINE, linewidth=0.6, zorder=1)
    axes.vlines(bars[bars <= end], low, high, color=_BAR_LINE, linewidth=0.8, zorder=1)
    labelled = bars[bars < end]
    numbers = [f"{int(bar) // bar_steps + 1}" for bar in labelled]
    axes.set_xticks(labelled, [f"bar {numbers[0]}", *numbers[1:]], ha="left")
    axes.set_yticks(octaves, [f"C{int(pitch) // 12 - 1}" for pitch in octaves])
    axes.tick_params(length=0, labelsize=8, labelcolor=_INK, pad=3)
    axes.spines[:].set_visible(False)


def _draw_prompt_background(axes: "Axes", prompt_steps: int) -> None:
    start, end = axes.get_xlim()
    if prompt_steps > start:
        axes.axvspan(start, min(prompt_steps, end), color=_PROMPT_BACKGROUND, linewidth=0, zorder=0)
        if prompt_steps <= end:
            axes.axvline(prompt_steps, color=_PROMPT_COLOUR, linewidth=1.2, linestyle=(0, (4, 2)), zorder=2)


def _draw_notes(axes: "Axes", notes: Notes, is_prompt: Bool[np.ndarray, " N"]) -> None:
    from matplotlib.collections import PolyCollection

    start, end = axes.get_xlim()
    visible = (notes.onset < end) & (notes.onset + notes.duration > start)
    for chosen, colour in ((visible & is_prompt, _PROMPT_COLOUR), (visible & ~is_prompt, _NOTE_COLOUR)):
        corners = _rectangles(notes.onset[chosen], notes.duration[chosen], notes.pitch[chosen])
        axes.add_collection(PolyCollection(list(corners), facecolor=colour, edgecolor="none", zorder=3), autolim=False)


def _rectangles(
    onset: Int[np.ndarray, " N"], duration: Int[np.ndarray, " N"], pitch: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "N 4 2"]:
    """Corners of each note, in steps and semitones."""
    left, right = onset, onset + duration - _NOTE_GAP
    bottom, top = pitch - _NOTE_HEIGHT / 2, pitch + _NOTE_HEIGHT / 2
    corners = ((left, bottom), (left, top), (right, top), (right, bottom))
    return np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)


def _draw_heading(axes: "Axes", title: str, is_prompt: Bool[np.ndarray, " N"], *, has_prompt: bool) -> None:
    from matplotlib.patches import Patch

    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=_INK, parse_math=False)
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
        labelcolor=_INK,
    )
