"""Settings of `pianogen evaluate`."""

from dataclasses import dataclass
from typing import Literal

from pianogen.config.rules import require


@dataclass(frozen=True)
class EvaluateConfig:
    """What to score, and with which weights."""

    split: Literal["train", "validation", "test"] | None = None
    """One split; by default test, and train beside it."""
    checkpoint: str = "best"
    """best (lowest validation loss), last, or a step number."""
    train_tokens: int = 500_000
    """Tokens of the training split to score; which performances were chosen is recorded."""
    shards: str | None = None
    """Where the shards are now, if they have moved since training: a folder or a URL; of runs of different shards, the
    folder that holds the folders of all."""
    batch: int = 64
    """Performances scored at the same time."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the matrix products; the results of bf16 have files and a row of their own."""
    ops: Literal["auto", "reference"] = "auto"
    """auto: compiled operations on CPUs, if there is a C compiler; reference: plain torch."""

    def __post_init__(self) -> None:
        require(self.train_tokens >= 1, "train_tokens", self.train_tokens, "at least 1")
        require(self.batch >= 1, "batch", self.batch, "at least 1")
