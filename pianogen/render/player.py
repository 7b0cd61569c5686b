"""Notes on a page: a piano roll in SVG that plays when its button is pressed; player.js has the sound."""

import math

import numpy as np

from pianogen.render.page import embedded_json, escape
from pianogen.tokens.notes import Notes

QUARTERS_PER_BAR = 4
_LEAST_PITCHES = 36
_MARGIN = 2  # semitones above the highest and below the lowest note
_MOST_BAR_LINES = 64
_MOST_NUMBERS = 16
_PIXELS_PER_STEP = 1.5  # at least; a long piece is scrolled
_NOTE_HEIGHT = 0.86  # of a semitone
_NOTE_GAP = 0.12  # steps left free behind a note, so that repeated notes stay apart


def player(
    notes: Notes, *, seconds_per_step: float, steps_per_quarter: int = 4, prompt_steps: int = 0, label: str = ""
) -> str:
    """HTML of a piece that can be seen and heard; notes that begin before `prompt_steps` are the prompt."""
    bar_steps = QUARTERS_PER_BAR * steps_per_quarter
    end = int((notes.onset + notes.duration).max(initial=0))
    num_steps = max(1, math.ceil(end / bar_steps)) * bar_steps
    events = np.stack([notes.onset, notes.duration, notes.pitch], axis=1).ravel().tolist()
    name = escape(label)
    return f"""<div class="player" data-step="{seconds_per_step:.6g}" data-steps="{num_steps}" data-end="{end}">
<button type="button" class="play" aria-label="Play {name}" data-label="{name}"></button>
<div class="scroll"><div class="roll" role="slider" tabindex="0" aria-label="Position in {name}" \
aria-valuemin="0" aria-valuemax="100" aria-valuenow="0" style="min-width:{num_steps * _PIXELS_PER_STEP:.0f}px">
{_roll(notes, num_steps, bar_steps, prompt_steps)}
<div class="playhead"></div>{_bar_numbers(num_steps // bar_steps)}</div></div>
<output class="time">{_clock(end * seconds_per_step)}</output>
{embedded_json(events)}
</div>"""


def _roll(notes: Notes, num_steps: int, bar_steps: int, prompt_steps: int) -> str:
    low, high = (int(notes.pitch.min()), int(notes.pitch.max())) if len(notes) else (60, 60)
    spare = max(0, _LEAST_PITCHES - (high - low))
    low, high = low - _MARGIN - spare // 2, high + _MARGIN + spare // 2
    every = bar_steps * math.ceil(num_steps / bar_steps / _MOST_BAR_LINES)
    bars = "".join(f"M{x} 0V{high - low + 1}" for x in range(every, num_steps, every))
    octaves = "".join(f"M0 {high - pitch + 1}H{num_steps}" for pitch in range(low, high + 1) if pitch % 12 == 0)
    is_prompt = notes.onset < prompt_steps
    ground = f'<rect class="ground" width="{min(prompt_steps, num_steps)}" height="100%"/>' if prompt_steps else ""
    return (
        f'<svg viewBox="0 0 {num_steps} {high - low + 1}" preserveAspectRatio="none" aria-hidden="true">{ground}'
        f'<path class="octave" d="{octaves}"/><path class="bar" d="{bars}"/>'
        f'<path class="prompt" d="{_rectangles(notes, is_prompt, high)}"/>'
        f'<path class="note" d="{_rectangles(notes, ~is_prompt, high)}"/></svg>'
    )


def _rectangles(notes: Notes, chosen: np.ndarray, high: int) -> str:
    corners = np.stack([notes.onset, notes.duration, notes.pitch], axis=1)[chosen].tolist()
    top = (1 - _NOTE_HEIGHT) / 2
    return "".join(
        f"M{onset} {high - pitch + top:.2f}h{duration - _NOTE_GAP:g}v{_NOTE_HEIGHT}h-{duration - _NOTE_GAP:g}z"
        for onset, duration, pitch in corners
    )


def _bar_numbers(num_bars: int) -> str:
    every = next(step for step in (4 * 2**power for power in range(32)) if num_bars <= step * _MOST_NUMBERS)
    numbers = (f'<span style="left:{100 * bar / num_bars:.3f}%">{bar + 1}</span>' for bar in range(0, num_bars, every))
    return f'<div class="numbers" aria-hidden="true">{"".join(numbers)}</div>'


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
