"""What a visitor's piece may continue: a file that is known, up to any step, or a list of notes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from pianogen.errors import SettingError
from pianogen.generation.prompt import DEFAULT_TEMPO, Prompt, clock_and_end
from pianogen.play.piece import notes_in
from pianogen.tokens import Notes, decode, encode
from pianogen.tokens.notes import canonical
from pianogen.tokens.vocab import HIGHEST_PITCH, LOWEST_PITCH, MAX_NOTE_STEPS

_MAX_START = 100_000  # steps; more than three hours at 120 quarters per minute
TempoMarks = tuple[tuple[float, float], ...]
"""Steps and quarters per minute, in ascending order; the first one is at step 0."""


@dataclass(frozen=True)
class KnownPrompt:
    """A file that can be a prompt as a whole, or up to a step."""

    id: str
    title: str
    composer: str | None
    prompt: Prompt
    tempo_marks: TempoMarks

    def describe(self) -> dict[str, Any]:
        """Everything about it."""
        return {
            "id": self.id,
            "title": self.title,
            "composer": self.composer,
            "num_steps": self.prompt.num_steps,
            "num_tokens": len(self.prompt.ids),
            "steps_per_quarter": self.prompt.steps_per_quarter,
            "quarters_per_minute": self.prompt.quarters_per_minute,
            "time_signature": self.prompt.time_signature,
            "notes": notes_in(self.prompt.ids),
        }

    def until(self, end_step: int | None) -> Prompt:
        """The notes that start before a step, at the tempo before it; without a step the whole.

        Raises:
            SettingError: No note starts before it.
        """
        if end_step is None:
            return self.prompt
        tempo = [tempo for step, tempo in self.tempo_marks if step < end_step]
        return replace(cut(self.prompt, end_step), quarters_per_minute=tempo[-1] if tempo else self.tempo_marks[0][1])


def cut(prompt: Prompt, end_step: int) -> Prompt:
    """The notes that start before a step; each keeps its whole length.

    Raises:
        SettingError: No note starts before it.
    """
    ids, num_steps = _encoded_until(decode(prompt.ids, allow_open=True), end_step)
    return replace(prompt, ids=ids, num_steps=num_steps)


def _encoded_until(notes: Notes, end_step: int) -> tuple[Int[np.ndarray, " T"], int]:
    """The tokens of the notes that start before a step, and where they end or are cut; tokens shorten long waits."""
    kept = notes.onset < end_step
    if not kept.any():
        raise SettingError(f"'end_step' is {end_step}, but the prompt's first note starts at step {notes.onset.min()}")
    ids = encode(notes.select(kept))[:-1]
    clock, end = clock_and_end(ids)
    return ids, min(end, end_step - (int(notes.onset[kept].max()) - clock))


def prompt_of_notes(
    notes: Sequence[tuple[int, int, int]],
    steps_per_quarter: int,
    tempo: float = DEFAULT_TEMPO,
    time_signature: tuple[int, int] = (4, 4),
    end_step: int | None = None,
) -> Prompt:
    """A prompt of notes as [start, length, pitch], in steps and MIDI numbers, in any order, as `cut` at a step.

    Waits longer than a token can say are shortened, as in files.

    Raises:
        SettingError: There are none, or one is not on the keyboard or the grid, or none starts before `end_step`.
    """
    if not notes:
        raise SettingError("the prompt has no notes; leave it out to start from nothing")
    for number, (start, length, pitch) in enumerate(notes):
        what = f"note {number} of the prompt is [{start}, {length}, {pitch}]"
        _require(0 <= start <= _MAX_START, what, "its start", f"from 0 to {_MAX_START} steps")
        _require(1 <= length <= MAX_NOTE_STEPS, what, "its length", f"from 1 to {MAX_NOTE_STEPS} steps")
        _require(LOWEST_PITCH <= pitch <= HIGHEST_PITCH, what, "its pitch", f"from {LOWEST_PITCH} to {HIGHEST_PITCH}")
    table = canonical(*np.array(notes, dtype=np.int64).T)
    whole = int((table.onset + table.duration).max())
    ids, num_steps = _encoded_until(table, whole if end_step is None else end_step)
    return Prompt(ids, num_steps, steps_per_quarter, tempo, time_signature)


def _require(condition: bool, what: str, value: str, rule: str) -> None:
    if not condition:
        raise SettingError(f"{what}, but {value} must be {rule}")
