"""Settings of `pianogen shards`."""

from dataclasses import dataclass, field
from typing import Literal

from pianogen.config.rules import part_of, require
from pianogen.config.tokenizer import TokenizerConfig


@dataclass(frozen=True)
class ShardsConfig:
    """The preprocessing job."""

    split: Literal["official", "random", "composition", "csv"] | None = None
    """official: MAESTRO's own; random: 80/10/10 by file; composition: 80/10/10 by composition; csv: as in `list`."""
    list: str | None = None  # named as the flag users type; nothing below uses the builtin
    """A csv in MAESTRO's format: only files in it are used, and `--split csv` uses its split column."""
    seed: int = 0
    """Seed of the random and composition splits."""
    workers: int = 1
    """Processes that read and tokenize; the output does not depend on their number."""
    version: Literal["v1.0.0", "v2.0.0", "v3.0.0"] | None = None
    """MAESTRO version to download, by default v3.0.0, or that `archive` must have."""
    archive: str | None = None
    """A local MAESTRO zip; read in place, never extracted."""
    tempo_variants: tuple[float, ...] = ()
    """Tempo factors from 0.9 to 1.1, such as "[0.95,1.05]"; each adds a copy of the train split at another tempo."""
    shard_mb: float = 16.0
    """Size at which a new shard is started, in MB of tokens."""
    max_file_mb: float = 16.0
    """A larger source file is quarantined."""
    max_notes: int = 1_000_000
    """A performance with more notes is quarantined."""
    part: str | None = None
    """K/N with K from 0: only read every N-th file, from the K-th; a later job without `part` writes the shards."""
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)

    def __post_init__(self) -> None:
        part_of(self.part)
        require(self.workers >= 1, "workers", self.workers, "at least 1")
        require(self.shard_mb > 0, "shard_mb", self.shard_mb, "above 0")
        require(self.max_file_mb > 0, "max_file_mb", self.max_file_mb, "above 0")
        require(self.max_notes >= 1, "max_notes", self.max_notes, "at least 1")
        for factor in self.tempo_variants:
            require(0.9 <= factor <= 1.1 and factor != 1, "tempo_variants", factor, "from 0.9 to 1.1 and not 1")
