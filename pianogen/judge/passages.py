"""Where some notes of a piece or performance are: their bars and times."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pianogen.config import TokenizerConfig
from pianogen.tokens import Notes
from pianogen.tokens.metre import COMMON_TIME, bar_steps, plausible_metre
from pianogen.tokens.midi import DEFAULT_QUARTERS_PER_MINUTE


@dataclass(frozen=True)
class Timing:
    """How long the bars and the steps of a piece are."""

    steps_per_bar: float
    seconds_per_step: float

    @classmethod
    def usual(cls, tokenizer: TokenizerConfig) -> "Timing":
        """4/4 at the tempo of a MIDI file that states none, as pieces without a prompt have."""
        steps_per_quarter = tokenizer.steps_per_quarter
        return cls(4.0 * steps_per_quarter, 60 / (DEFAULT_QUARTERS_PER_MINUTE * steps_per_quarter))

    @classmethod
    def of(cls, metadata: Mapping[str, Any], notes: Notes, tokenizer: TokenizerConfig) -> "Timing":
        """That of a performance in shards: the metre that its file states, and its seconds at an even tempo.

        What the metadata do not say, or not in a usable way, is as usual.
        """
        seconds: Any = metadata.get("seconds")
        is_known = isinstance(seconds, int | float) and math.isfinite(seconds)
        last = int((notes.onset + notes.duration).max(initial=1))
        return cls(
            steps_per_bar=bar_steps(_metre(metadata.get("time_signature")), tokenizer.steps_per_quarter),
            seconds_per_step=float(seconds) / last if is_known else cls.usual(tokenizer).seconds_per_step,
        )


@dataclass(frozen=True)
class Passage:
    """Some notes without a gap between them."""

    first_note: int
    """Counted from 0, in the order of the tokens."""
    notes: int
    first_bar: int
    """Counted from 1. The bars of a performance that was recorded without a metre are those of a clock in 4/4."""
    last_bar: int
    start_s: float
    """Onset of the first note."""
    end_s: float
    """Onset of the last note."""

    @classmethod
    def of(cls, notes: Notes, first: int, count: int, timing: Timing) -> "Passage":
        """The passage of `count` notes from the note `first` on."""
        onsets = notes.onset[[first, first + count - 1]]
        bars = (onsets // timing.steps_per_bar + 1).astype(int).tolist()
        return cls(first, count, *bars, *(onsets * timing.seconds_per_step).round(3).tolist())


def _metre(value: Any) -> tuple[int, int]:
    if isinstance(value, list) and [type(part) for part in value] == [int, int]:
        return plausible_metre((value[0], value[1]))
    return COMMON_TIME
