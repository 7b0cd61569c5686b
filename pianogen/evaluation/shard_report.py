"""The comparison of runs of different shards as a table: likelihoods per note and second, and what the notes cost.

Precision, recall and F1 are not in it: their classes are words, which mean other lengths on another grid.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from pianogen.config import TokenizerConfig
from pianogen.evaluation.results import Results, nats_per_note_by_group
from pianogen.terminal import plain_table

_TEXT_COLUMNS = ("model", "tokenizer")
_NUMBER_COLUMNS = ("notes", "NLL/note", "note", "wait", "length", "finer", "NLL/s", "NLL/token")
_SHORT = {"steps_per_quarter": "grid", "short_notes": "short notes", "pedal": "pedal"}


@dataclass(frozen=True)
class ShardsRow:
    """A model or a baseline on the performances that all shards have."""

    name: str
    kind: str | None
    """The kind of model; None for a baseline."""
    tokenizer: TokenizerConfig
    found: Results
    """What `results` returns."""

    def nats_per_note(self) -> dict[str, float]:
        """The parts of the NLL per note, by the group of the target."""
        return nats_per_note_by_group(self.found)

    def finer_nats_per_note(self, coarsest: int) -> float:
        """What a finer grid must also predict, if the position within a step of the coarsest grid is random.

        Each length of a note and each wait has steps_per_quarter / `coarsest` times as many values.
        """
        targets = self.found["targets"]
        num_lengths = targets["duration"] + targets["wait"] / 2  # a wait is two tokens
        return num_lengths / self.found["notes"] * math.log(self.tokenizer.steps_per_quarter / coarsest)

    def content(self) -> dict[str, Any]:
        """The row, ready for JSON."""
        return {**asdict(self), "nats_per_note": self.nats_per_note()}


def shards_caption(rows: Sequence[ShardsRow], split: str, num_performances: int, left_out: dict[str, int]) -> str:
    """What the table shows, and how many performances of each run's split are not in it."""
    others = ", ".join(f"{count} of {name}'s" for name, count in left_out.items())
    text = (
        f"NLL in nats, xxeos included, on the {num_performances} performances that the {split} splits of all shards "
        f"have; left out: {others}. note, wait, length: the parts of NLL/note. notes: in brackets, how many fewer "
        "than in the shards with most, because the tokenizer merges or drops them. "
    )
    if not _settings_that_differ(rows):
        return text
    return text + (
        "finer: the share of NLL/note that a finer grid must also predict if the position within a step of the "
        "coarsest grid is random. Compare NLL/s and NLL/note; NLL/token, in brackets, is of other tokens in each row. "
        "Precision, recall and F1 are of other classes and not compared."
    )


def shards_table(rows: Sequence[ShardsRow], caption: str) -> Table:
    """A table for the terminal; no row is marked as best, since a coarser grid has less to predict."""
    table = plain_table(caption, text=_TEXT_COLUMNS, numbers=_NUMBER_COLUMNS)
    for row in rows:
        table.add_row(*map(escape, _cells(row, rows)), style="" if row.kind else "dim")
    return table


def shards_markdown(rows: Sequence[ShardsRow], caption: str) -> str:
    """The same table in Markdown."""
    columns = [*_TEXT_COLUMNS, *_NUMBER_COLUMNS]
    lines = [columns, ["---"] * len(columns), *(_cells(row, rows) for row in rows)]
    return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), "", caption, ""])


def tokenizer_label(row: ShardsRow, rows: Sequence[ShardsRow]) -> str:
    """The settings in which the rows' tokenizers differ."""
    settings = asdict(row.tokenizer)
    return ", ".join(f"{_SHORT.get(name, name)} {settings[name]}" for name in _settings_that_differ(rows)) or "the same"


def _settings_that_differ(rows: Sequence[ShardsRow]) -> list[str]:
    settings = [asdict(row.tokenizer) for row in rows]
    return [name for name in settings[0] if len({one[name] for one in settings}) > 1]


def _cells(row: ShardsRow, rows: Sequence[ShardsRow]) -> list[str]:
    """One line, in the order of the columns."""
    coarsest = min(one.tokenizer.steps_per_quarter for one in rows)
    fewer = row.found["notes"] - max(one.found["notes"] for one in rows)
    parts, nll = row.nats_per_note(), row.found["nll"]
    per_token = _number(nll["nats_per_token"])
    return [
        row.name,
        tokenizer_label(row, rows),
        f"{row.found['notes']:,}" + (f" ({fewer:,})" if fewer else ""),
        _number(nll["nats_per_note"]),
        *(_number(parts[name]) for name in ("note", "wait", "duration")),
        _number(row.finer_nats_per_note(coarsest)),
        _number(nll["nats_per_second"]),
        f"({per_token})" if _settings_that_differ(rows) else per_token,
    ]


def _number(value: float | None) -> str:
    return "inf" if value is None else f"{value:.3f}"
