"""A plan: runs in the order in which they are trained, and the tables that they form. `plan_file` reads one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pianogen.config import JudgedPiecesConfig, ShardSetConfig, TrainConfig, flatten, to_dict

Columns = Literal["models", "rules", "switches", "recipes", "judged"]
COMMAND_ONLY = ("shards", "out", "resume")
"""Settings of training that are given by the command and not by the plan."""
# settings on which neither weights nor scores depend, or that name no value but a place
_NOT_COMPARED = {*COMMAND_ONLY, "micro_batch", "deepspeed", "ops", "rank_timeout_s", "checkpoint"}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan."""

    name: str
    shard_set: str
    shards: ShardSetConfig
    train: TrainConfig
    """Its settings, but for the folders."""
    paper_code: bool = True
    """Whether it is also scored as the paper's code does it, on cut excerpts, which takes as long again."""

    @property
    def entry(self) -> dict[str, Any]:
        """What its result depends on, as plain nested values: shards and settings."""
        settings = {name: value for name, value in to_dict(self.train).items() if name not in _NOT_COMPARED}
        return {"shards": to_dict(self.shards), "settings": settings}


@dataclass(frozen=True)
class Table:
    """One table of the page: each row is the mean of some runs, which differ in their seeds."""

    name: str
    title: str
    rows: dict[str, tuple[str, ...]]
    """Names of runs, by label."""
    columns: Columns = "models"
    compared: bool = False
    """Whether each row is tested against the one before, by a bootstrap over the performances."""
    baselines: bool = False
    """Whether the baselines follow, on the shards of the first run."""
    text: str = ""
    """Paragraphs below the table."""

    @property
    def names(self) -> list[str]:
        """Its runs, each once."""
        return list(dict.fromkeys(name for names in self.rows.values() for name in names))

    @property
    def first_run(self) -> str:
        """The name of the first run of the first row."""
        return self.names[0]


@dataclass(frozen=True)
class Plan:
    """The content of a plan file."""

    runs: dict[str, PlannedRun]
    tables: tuple[Table, ...]
    title: str
    """Of the page."""
    text: str
    """Paragraphs below the title."""
    pieces: JudgedPiecesConfig = field(default_factory=JudgedPiecesConfig)
    """Of the runs in tables of the columns `judged`."""


def difference(now: Mapping[str, Any], then: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first setting in which two entries differ, and both values; None if they agree.

    A setting that one of them lacks, since a version had no such setting, has its default there.
    """
    first, second = (_defaults() | flatten(dict(entry)) for entry in (now, then))
    differing = (name for name in first | second if first.get(name) != second.get(name))
    return next(((name, first.get(name), second.get(name)) for name in differing), None)


def _defaults() -> dict[str, Any]:
    return flatten(
        {
            "shards": to_dict(ShardSetConfig()),
            "settings": PlannedRun("", "", ShardSetConfig(), TrainConfig()).entry["settings"],
        }
    )
