"""The axes of a piano roll: pitch upwards, time in bars to the right, long pieces on several systems as in a score."""

import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from pianogen.tokens.notes import Notes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUARTERS_PER_BAR = 4
INK = "#333333"
_MAX_SYSTEMS = 16  # a longer piece gets longer systems
_BARS_PER_SYSTEM = 8  # at least; doubled until the systems are few enough
_WIDTH_INCHES = 11.0
_INCHES_PER_SEMITONE = 0.042
_DPI = 130
_NOTE_HEIGHT = 0.86  # of a semitone
_NOTE_GAP = 0.12  # steps; separates repeated notes
_MAX_BAR_LINES = 16  # on one line; more would hide the notes
_BLACK_KEYS = (1, 3, 6, 8, 10)  # pitch classes

_BLACK_KEY_ROW = "#0000000c"  # transparent over the background of the prompt
_BAR_LINE = "#c4c4c4"
_BEAT_LINE = "#e6e6e6"


def draw_systems(notes: Notes, steps_per_quarter: int, bar_steps: float | None) -> "tuple[Figure, list[Axes]]":
    """A figure with a grid for the notes, and its systems from top to bottom; time is in steps.

    A bar is `bar_steps` long, by default four quarters.
    """
    bar_steps = bar_steps or QUARTERS_PER_BAR * steps_per_quarter
    num_bars = max(1, math.ceil(int((notes.onset + notes.duration).max(initial=0)) / bar_steps))
    system_bars = _bars_per_system(num_bars)
    figure, systems = _systems(math.ceil(num_bars / system_bars), _pitch_range(notes))
    for index, axes in enumerate(systems):
        axes.set_xlim(index * system_bars * bar_steps, (index + 1) * system_bars * bar_steps)
        _draw_grid(axes, num_bars * bar_steps, bar_steps, steps_per_quarter)
    return figure, systems


def visible(axes: "Axes", notes: Notes) -> Bool[np.ndarray, " N"]:
    """The notes that a system shows, whole or in part."""
    start, end = axes.get_xlim()
    return (notes.onset < end) & (notes.onset + notes.duration > start)


def corners_of(notes: Notes, chosen: Bool[np.ndarray, " N"]) -> Float[np.ndarray, "M 4 2"]:
    """Corners of each chosen note, in steps and semitones."""
    left, right = notes.onset[chosen], (notes.onset + notes.duration)[chosen] - _NOTE_GAP
    bottom, top = notes.pitch[chosen] - _NOTE_HEIGHT / 2, notes.pitch[chosen] + _NOTE_HEIGHT / 2
    corners = ((left, bottom), (left, top), (right, top), (right, bottom))
    return np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)


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


def _draw_grid(axes: "Axes", end: float, bar_steps: float, beat_steps: int) -> None:
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
    numbers = [f"{round(bar / bar_steps) + 1}" for bar in labelled]
    axes.set_xticks(labelled, [f"bar {numbers[0]}", *numbers[1:]], ha="left")
    axes.set_yticks(octaves, [f"C{int(pitch) // 12 - 1}" for pitch in octaves])
    axes.tick_params(length=0, labelsize=8, labelcolor=INK, pad=3)
    axes.spines[:].set_visible(False)
