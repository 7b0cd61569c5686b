"""Settings of `pianogen generate`."""

from dataclasses import dataclass
from typing import Literal

from pianogen.config.rules import part_of, require


@dataclass(frozen=True)
class GenerateConfig:
    """How pieces are drawn from a trained model."""

    num: int = 8
    """Pieces to make of each run, prompt and seed."""
    seed: int = 0
    """Piece i is drawn from (seed, i, position) alone, whatever the batch."""
    num_seeds: int = 1
    """Seeds to make pieces of: `seed` and those that follow it."""
    batch: int = 64
    """Pieces drawn side by side."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU where there is one. It rounds otherwise than a CPU, so that a piece may differ between the two."""
    prompt: str | None = None
    """A MIDI file or score to continue, or a folder of them; without one a piece begins from nothing."""
    prompt_seconds: float | None = None
    """How much of the prompt to use, in its own seconds; all of it by default."""
    prompt_bars: float | None = None
    """How much of the prompt to use, in bars."""
    tokens: int | None = None
    """Longest length in tokens, the prompt included; 1024 when no length is given."""
    bars: float | None = None
    """Longest length in bars after the prompt; a bar is 16 steps unless the prompt has a time signature."""
    seconds: float | None = None
    """Longest length in seconds after the prompt."""
    min_tokens: int | None = None
    """Tokens before which a piece may not end."""
    min_bars: float | None = None
    """Bars after the prompt before which a piece may not end."""
    min_seconds: float | None = None
    """Seconds after the prompt before which a piece may not end."""
    temperature: float = 1.0
    """Flattens (above 1) or sharpens (below 1) the choice of notes and waits."""
    duration_temperature: float | None = None
    """The same for lengths; by default as `temperature`."""
    top_k: int | None = None
    """Choose among the k likeliest words."""
    top_p: float | None = None
    """Choose among the likeliest words that together hold this probability."""
    min_p: float | None = None
    """Choose among words at least this likely relative to the likeliest."""
    musicxml: bool = False
    """Also write a score of each piece."""
    piano_roll: bool = False
    """Also write a picture of each piece, the prompt marked."""
    checkpoint: str = "best"
    """best (lowest validation loss), last, or a step number."""
    part: str | None = None
    """K/N, K from 0: make every N-th piece from the K-th on, as one of the N tasks of an array."""

    def __post_init__(self) -> None:
        part_of(self.part)
        require(self.num >= 1, "num", self.num, "at least 1")
        require(self.num_seeds >= 1, "num_seeds", self.num_seeds, "at least 1")
        require(self.batch >= 1, "batch", self.batch, "at least 1")
        require(self.temperature > 0, "temperature", self.temperature, "above 0")
        warmth = self.duration_temperature
        require(warmth is None or warmth > 0, "duration_temperature", warmth, "above 0")
        require(self.top_k is None or self.top_k >= 1, "top_k", self.top_k, "at least 1")
        for name in ("top_p", "min_p"):
            share = getattr(self, name)
            require(share is None or 0 < share <= 1, name, share, "above 0 and at most 1")
        for name in ("tokens", "bars", "seconds", "prompt_seconds", "prompt_bars"):
            length = getattr(self, name)
            require(length is None or length > 0, name, length, "above 0")
