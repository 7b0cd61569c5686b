"""Scores as a table of models, baselines and the paper's numbers, for the terminal and in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from pianogen.evaluation.results import Results, percentages
from pianogen.terminal import plain_table

MODEL_NAMES: dict[str, str] = {"rnn": "RNN", "lstm": "LSTM", "attn": "LSTM + attention", "sha": "LSTM + attention head"}
PAPER_PERCENT: dict[str, dict[str, tuple[float, float, float]]] = {
    "rnn": {"train": (60.2, 59.7, 59.9), "test": (58.9, 57.3, 58.1)},
    "lstm": {"train": (67.5, 64.4, 65.9), "test": (66.6, 62.3, 64.4)},
    "attn": {"train": (68.1, 65.5, 66.8), "test": (67.1, 63.0, 65.0)},
}
"""Precision, recall and F1 of Abbou (2020), read off its Figure 5."""

_CAPTION = (
    "In percent. weighted: mean over classes, by their targets. macro: plain mean over the classes that occur, with "
    "F1 = 2PR/(P+R). NLL: nats per token, xxeos included."
)
_PAPER_CAPTION = (
    "paper: read off its Figure 5, on its own split of MAESTRO v1; it names the macro formula, but its level is that "
    "of weighted averages."
)
_COLUMNS = {
    "model": "",
    "split": "",
    "weighted": "P R F1",
    "macro": "P R F1",
    "accuracy": "",
    "NLL": "",
    "paper": "P R F1",
}
_NLL_COLUMN = list(_COLUMNS).index("NLL")
_ABSENT = "-"


@dataclass(frozen=True)
class ComparisonRow:
    """One model or baseline to compare."""

    name: str
    kind: str | None
    """The kind of model; None for a baseline."""
    splits: dict[str, Results]
    """What `results` returns, by the name of the split, in the order to print."""
    of_maestro: bool = True
    """Whether the scores are those on MAESTRO, so that the paper's can stand beside them."""

    def paper(self, split: str) -> tuple[float, float, float] | None:
        """The paper's precision, recall and F1 in percent, if it has this model, data and split."""
        if not self.of_maestro:
            return None
        return PAPER_PERCENT.get(self.kind or "", {}).get(split)


def comparison_table(rows: Sequence[ComparisonRow]) -> Table:
    """A table for the terminal, at most 100 columns wide; the lowest NLL of each split is bold."""
    columns, caption = _columns(rows)
    table = plain_table(caption)
    for name, parts in columns.items():
        heading = "\n".join([name, " ".join(f"{part:>4}" for part in parts.split())]).rstrip()
        justify = "right" if name in ("accuracy", "NLL") else "left"
        table.add_column(heading, no_wrap=name != "model", overflow="fold", justify=justify)
    lowest = _lowest_nll(rows)
    for index, row in enumerate(rows):
        last_of_section = index + 1 < len(rows) and (row.kind is None) != (rows[index + 1].kind is None)
        for line, split in enumerate(row.splits, start=1):
            cells = _cells(row, split)
            if cells[_NLL_COLUMN] == lowest.get(split):
                cells[_NLL_COLUMN] = f"[bold]{cells[_NLL_COLUMN]}[/]"
            cells[0] = escape(row.name) if line == 1 else ""
            ends_section = last_of_section and line == len(row.splits)
            table.add_row(*cells[: len(columns)], style="" if row.kind else "dim", end_section=ends_section)
    return table


def comparison_markdown(rows: Sequence[ComparisonRow]) -> str:
    """The same table in Markdown."""
    columns, caption = _columns(rows)
    headings = [f"{name} {parts.replace(' ', ' / ')}".rstrip() for name, parts in columns.items()]
    lines = [headings, ["---"] * len(headings)]
    lines += [_cells(row, split, separator=" / ")[: len(columns)] for row in rows for split in row.splits]
    return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), "", caption, ""])


def _columns(rows: Sequence[ComparisonRow]) -> tuple[dict[str, str], str]:
    """The columns and the caption of a table, without the paper's, which is the last, if the data are not its."""
    if all(row.of_maestro for row in rows):
        return _COLUMNS, f"{_CAPTION} {_PAPER_CAPTION}"
    return dict(list(_COLUMNS.items())[:-1]), _CAPTION


def has_paper(rows: Sequence[ComparisonRow]) -> bool:
    """Whether the paper has scores of one of the rows."""
    return any(row.paper(split) for row in rows for split in row.splits)


def _lowest_nll(rows: Sequence[ComparisonRow]) -> dict[str, str]:
    """The lowest NLL of each split as printed, so that all rows that print the same are marked."""
    lowest: dict[str, str] = {}
    for row in rows:
        for split in row.splits:
            printed = _cells(row, split)[_NLL_COLUMN]
            if printed != _ABSENT:
                lowest[split] = min(lowest.get(split, printed), printed, key=float)
    return lowest


def _cells(row: ComparisonRow, split: str, separator: str = " ") -> list[str]:
    """One line, in the order of `_COLUMNS`."""
    found, paper = row.splits[split], row.paper(split)
    averages, nll = found["averages"], found["nll"]["nats_per_token"]
    return [
        row.name,
        split,
        _percentages(percentages(found, "weighted"), separator),
        _percentages(percentages(found, "macro"), separator),
        f"{100 * averages['accuracy']:.1f}",
        _ABSENT if nll is None else f"{nll:.3f}",
        _ABSENT if paper is None else _percentages(paper, separator),
    ]


def _percentages(values: Sequence[float], separator: str) -> str:
    width = 4 if separator == " " else 0  # aligns the columns in a terminal
    return separator.join(f"{value:{width}.1f}" for value in values)
