"""Settings of `pianogen reproduce`, and of the shards that its plan names."""

from dataclasses import dataclass, field
from typing import Literal

from pianogen.config.rules import part_of, require
from pianogen.config.shards import ShardsConfig
from pianogen.config.tokenizer import TokenizerConfig


@dataclass(frozen=True)
class ReproduceConfig:
    """What to train and score, where, and for how long."""

    plan: str = "configs/reproduce.yaml"
    """A YAML file of shards, runs and tables."""
    results: str = "docs/results"
    """Folder of the result files, and of the page and figures made from them."""
    hours: float | None = None
    """Wall time of this call; then the current run is saved, to be resumed by the next call. 0: only the page."""
    part: str | None = None
    """K/N with K from 0: only every N-th run, from the K-th; a later call without `part` writes the page."""
    archive: str | None = None
    """A local MAESTRO zip, by default downloaded."""
    list: str | None = None  # named as the flag of `pianogen shards`
    """A csv in MAESTRO's format, for the shards that the plan calls `listed`: only the files in it are used."""
    workers: int = 1
    """Processes that make shards."""

    def __post_init__(self) -> None:
        part_of(self.part)
        require(self.hours is None or self.hours >= 0, "hours", self.hours, "at least 0")
        require(self.workers >= 1, "workers", self.workers, "at least 1")


@dataclass(frozen=True)
class JudgedPiecesConfig:
    """The pieces of each run in a table of how far they are from real music."""

    num: int = 32
    """Pieces from nothing, and as many continuations of performances of the test split."""
    seconds: float = 120.0
    """How much of them is compared with as much of real music, the prompt not counted."""
    prompt_seconds: float = 15.0
    """Length of a prompt: the beginning of a performance, at 120 quarters per minute."""
    seed: int = 0
    """Seed of the pieces, and of the real pieces that they are compared with."""

    def __post_init__(self) -> None:
        require(self.num >= 1, "num", self.num, "at least 1")
        require(self.seconds > 0, "seconds", self.seconds, "above 0")
        require(self.prompt_seconds > 0, "prompt_seconds", self.prompt_seconds, "above 0")


@dataclass(frozen=True)
class ShardSetConfig:
    """Shards that runs of a plan share, as settings of `pianogen shards`."""

    source: str = "maestro"
    """corpus, maestro, or a folder of MIDI files or scores."""
    split: Literal["official", "random", "composition"] | None = None
    """official: MAESTRO's own; random: 80/10/10 by file; composition: 80/10/10 by composition."""
    listed: bool = False
    """Use only the files in the csv that --list names."""
    seed: int = 0
    """Seed of the random and composition splits."""
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)

    def settings(self, command: ReproduceConfig) -> ShardsConfig:
        """What `pianogen shards` would be given."""
        return ShardsConfig(
            split=self.split,
            list=command.list if self.listed else None,
            seed=self.seed,
            workers=command.workers,
            archive=command.archive if self.source == "maestro" else None,
            tokenizer=self.tokenizer,
        )
