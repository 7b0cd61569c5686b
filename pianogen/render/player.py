"""A player for a page: a piano roll in SVG and a button to play it; piano.js makes the sound."""

import math

import numpy as np
from markupsafe import Markup

from pianogen.render.page import render_template
from pianogen.tokens.notes import Notes

QUARTERS_PER_BAR = 4
_MIN_PITCHES = 36
_MARGIN = 2  # semitones above the highest and below the lowest note
_MAX_BAR_LINES = 64
_MAX_NUMBERS = 16
_PIXELS_PER_STEP = 1.5  # at least; a long piece is scrolled
_NOTE_HEIGHT = 0.86  # of a semitone
_NOTE_GAP = 0.12  # steps; separates repeated notes


def player(
    notes: Notes, *, seconds_per_step: float, steps_per_quarter: int = 4, prompt_steps: int = 0, label: str = ""
) -> Markup:
    """HTML of a piece that can be seen and heard; notes that begin before `prompt_steps` are the prompt."""
    bar_steps = QUARTERS_PER_BAR * steps_per_quarter
    end = int((notes.onset + notes.duration).max(initial=0))
    num_steps = max(1, math.ceil(end / bar_steps)) * bar_steps
    low, high = _pitch_range(notes)
    is_prompt = notes.onset < prompt_steps
    return render_template(
        "player.html",
        label=label,
        seconds_per_step=seconds_per_step,
        num_steps=num_steps,
        end=end,
        width=num_steps * _PIXELS_PER_STEP,
        num_pitches=high - low + 1,
        prompt_steps=prompt_steps,
        paths={
            "octave": "".join(
                f"M0 {high - pitch + 1}H{num_steps}" for pitch in range(low, high + 1) if pitch % 12 == 0
            ),
            "bar": _bar_lines(num_steps, bar_steps, high - low + 1),
            "prompt": _rectangles(notes, is_prompt, high),
            "note": _rectangles(notes, ~is_prompt, high),
        },
        bar_numbers=_bar_numbers(num_steps // bar_steps),
        time=_clock(end * seconds_per_step),
        events=np.stack([notes.onset, notes.duration, notes.pitch], axis=1).ravel().tolist(),
    )


def _pitch_range(notes: Notes) -> tuple[int, int]:
    low, high = (int(notes.pitch.min()), int(notes.pitch.max())) if len(notes) else (60, 60)
    spare = max(0, _MIN_PITCHES - (high - low))
    return low - _MARGIN - spare // 2, high + _MARGIN + spare // 2


def _bar_lines(num_steps: int, bar_steps: int, num_pitches: int) -> str:
    every = bar_steps * math.ceil(num_steps / bar_steps / _MAX_BAR_LINES)
    return "".join(f"M{x} 0V{num_pitches}" for x in range(every, num_steps, every))


def _rectangles(notes: Notes, chosen: np.ndarray, high: int) -> str:
    corners = np.stack([notes.onset, notes.duration, notes.pitch], axis=1)[chosen].tolist()
    top = (1 - _NOTE_HEIGHT) / 2
    return "".join(
        f"M{onset} {high - pitch + top:.2f}h{duration - _NOTE_GAP:g}v{_NOTE_HEIGHT}h-{duration - _NOTE_GAP:g}z"
        for onset, duration, pitch in corners
    )


def _bar_numbers(num_bars: int) -> list[tuple[int, float]]:
    """Bar numbers and their positions in percent of the width."""
    every = next(step for step in (4 * 2**power for power in range(32)) if num_bars <= step * _MAX_NUMBERS)
    return [(bar + 1, 100 * bar / num_bars) for bar in range(0, num_bars, every)]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
