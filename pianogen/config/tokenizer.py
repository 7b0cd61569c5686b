"""Settings of the tokenizer."""

from dataclasses import dataclass
from typing import Literal

from pianogen.config.rules import require


@dataclass(frozen=True)
class TokenizerConfig:
    """How notes become tokens; shards and models must agree on all of it."""

    steps_per_quarter: int = 4
    """Grid steps per quarter note; the paper uses 4, a sixteenth note each."""
    short_notes: Literal["keep", "drop"] = "keep"
    """A note that rounds to 0 steps: keep it as one step, or drop it as the paper's encoder does."""
    pedal: Literal["ignore", "extend"] = "ignore"
    """Sustain pedal: ignore it as the paper does, or let notes sound until it lifts or the key is struck again."""

    def __post_init__(self) -> None:
        require(1 <= self.steps_per_quarter <= 48, "steps_per_quarter", self.steps_per_quarter, "from 1 to 48")
