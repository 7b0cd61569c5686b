"""Scores as JSON, as metrics by name, and as a table of models, baselines and the paper's numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table

from pianogen.errors import PluginError
from pianogen.evaluation.counts import Counts
from pianogen.metrics import GROUPS, classification
from pianogen.plugins import Extension, extensions
from pianogen.terminal import plain_table

MODEL_NAMES: dict[str, str] = {"rnn": "RNN", "lstm": "LSTM", "attn": "LSTM + attention", "sha": "LSTM + attention head"}
PAPER_PERCENT: dict[str, dict[str, tuple[float, float, float]]] = {
    "rnn": {"train": (60.2, 59.7, 59.9), "test": (58.9, 57.3, 58.1)},
    "lstm": {"train": (67.5, 64.4, 65.9), "test": (66.6, 62.3, 64.4)},
    "attn": {"train": (68.1, 65.5, 66.8), "test": (67.1, 63.0, 65.0)},
}
"""Precision, recall and F1 of Abbou (2020), read off its Figure 5."""

CAPTION = (
    "In percent. weighted: mean over classes, by their targets. macro: plain mean over the classes that occur, with "
    "F1 = 2PR/(P+R). NLL: nats per token, xxeos included."
)
PAPER_CAPTION = (
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
FILES_CAPTION = (
    "NLL in nats, xxeos included. P, R, F1: of the next word, in percent, mean over classes weighted by their targets. "
    "bar: where a note surprises most on average."
)
_FILE_COLUMNS = ("file", "notes", "s", "NLL/token", "/note", "/s", "P", "R", "F1", "bar")
_NLL_COLUMN = list(_COLUMNS).index("NLL")
_ABSENT = "-"
_MAX_EXPONENT = 709.0  # e to a higher power overflows; only a diverged model reaches it

# names of metrics in metrics.jsonl and MLflow, and of `Averages`
_AVERAGES = {
    "accuracy": "accuracy",
    "precision_weighted": "weighted_precision",
    "recall_weighted": "weighted_recall",
    "f1_weighted": "weighted_f1",
    "precision_macro": "macro_precision",
    "recall_macro": "macro_recall",
    "f1_macro": "macro_f1",
}

_WEIGHTED_F1 = {f"f1_weighted_{group}": group for group in ("note", "wait", "duration")}
_LIKELIHOODS = {"nll": "nats_per_token", "nll_per_note": "nats_per_note", "nll_per_second": "nats_per_second"}
_BUILT_IN = (*_AVERAGES, *_WEIGHTED_F1, *_LIKELIHOODS)

Results = dict[str, Any]


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


def plugin_metrics() -> dict[str, Extension]:
    """The metrics that plugins add, by name, each one imported.

    Raises:
        PluginError: One cannot be imported, or has the name of a built-in metric.
    """
    found = extensions("metric", _BUILT_IN)
    for metric in found.values():
        metric.load()
    return found


def results(
    counts: Counts, *, seconds: float, notes: int, warn: Callable[[PluginError], None] | None = None
) -> Results:
    """Every average and likelihood by name, ready for JSON; None where the divisor is 0.

    Args:
        seconds: The performances' real time.
        notes: Notes encoded.
        warn: Called with the error of a plugin's metric that fails, which then has no value.

    Raises:
        PluginError: A plugin's metric fails, and `warn` is None.
    """
    found = classification(counts.true_positive, counts.predicted, counts.support)
    targets = dict(zip(GROUPS, counts.targets.tolist(), strict=True))
    return {
        "targets": {"all": sum(targets.values()), **targets},
        "notes": notes,
        "seconds": seconds,
        "averages": asdict(found.overall),
        "by_group": {name: asdict(getattr(found, name)) for name in GROUPS if name != "end"},
        "end": {"targets": found.end_targets, "precision": found.end_precision, "recall": found.end_recall},
        "nll": _likelihood(counts, seconds, notes),
        "plugins": {name: _measure(metric, counts, warn) for name, metric in plugin_metrics().items()},
    }


def _measure(metric: Extension, counts: Counts, warn: Callable[[PluginError], None] | None) -> float | None:
    try:
        value = metric.call(counts)
        if not isinstance(value, Real):
            raise PluginError(f"{metric} returned {value!r:.100}, which is not a number")
    except PluginError as error:
        if warn is None:
            raise
        warn(error)
        return None
    return _rate(float(value), 1)


def _likelihood(counts: Counts, seconds: float, notes: int) -> Results:
    total = float(counts.nll_nats.sum())
    per_token = _rate(total, int(counts.targets.sum()))
    by_group = zip(GROUPS, counts.nll_nats.tolist(), counts.targets.tolist(), strict=True)
    return {
        "nats": _rate(total, 1),
        "nats_per_token": per_token,
        "bits_per_token": None if per_token is None else per_token / math.log(2),
        "perplexity": None if per_token is None or per_token > _MAX_EXPONENT else math.exp(per_token),
        "nats_per_note": _rate(total, notes),
        "nats_per_second": _rate(total, seconds),
        "nats_per_token_by_group": {name: _rate(nats, number) for name, nats, number in by_group},
    }


def _rate(total: float, per: float) -> float | None:
    """None where the divisor is 0, or where an illegal target made the total infinite."""
    return total / per if per and math.isfinite(total) else None


def metrics_of(split: str, found: Results) -> dict[str, float]:
    """The scores to log and plot, named SPLIT/MEASURE; those without a value are left out."""
    metrics = {measure: found["averages"][key] for measure, key in _AVERAGES.items()}
    metrics |= {measure: found["by_group"][group]["weighted_f1"] for measure, group in _WEIGHTED_F1.items()}
    metrics |= {measure: found["nll"][key] for measure, key in _LIKELIHOODS.items()}
    metrics |= found["plugins"]
    return {f"{split}/{measure}": value for measure, value in metrics.items() if value is not None}


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
        return _COLUMNS, f"{CAPTION} {PAPER_CAPTION}"
    return dict(list(_COLUMNS.items())[:-1]), CAPTION


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


def nats_per_note_by_group(found: Results) -> dict[str, float]:
    """The parts of the NLL per note, by the group of the target; they add up to it."""
    nats, targets = found["nll"]["nats_per_token_by_group"], found["targets"]
    return {name: (nats[name] or 0.0) * targets[name] / found["notes"] for name in GROUPS}


def percentages(found: Results, rule: Literal["weighted", "macro"]) -> list[float]:
    """Precision, recall and F1 in percent under one rule of averaging."""
    return [100 * found["averages"][f"{rule}_{name}"] for name in ("precision", "recall", "f1")]


def _percentages(values: Sequence[float], separator: str) -> str:
    width = 4 if separator == " " else 0  # aligns the columns in a terminal
    return separator.join(f"{value:{width}.1f}" for value in values)


def files_table(summary: Results) -> Table:
    """What a run thinks of files, for the terminal: one line each, then all together."""
    table = plain_table(FILES_CAPTION, text=_FILE_COLUMNS[:1], numbers=_FILE_COLUMNS[1:])
    table.title, table.title_justify = f"{escape(summary['run'])}, step {summary['step']}", "left"
    for entry in summary["files"]:
        table.add_row(escape(entry["name"]), *_file_cells(entry["results"]), str(entry["surprising_bars"][0]["bar"]))
    if len(summary["files"]) > 1:
        table.add_section()
        table.add_row("all", *_file_cells(summary["total"]), "")
    return table


def _file_cells(found: Results) -> list[str]:
    nll = [found["nll"][f"nats_per_{unit}"] for unit in ("token", "note", "second")]
    percent = percentages(found, "weighted")
    return [
        f"{found['notes']:,}",
        f"{found['seconds']:,.0f}",
        *(_ABSENT if value is None else f"{value:.2f}" for value in nll),
        *(f"{value:.1f}" for value in percent),
    ]
