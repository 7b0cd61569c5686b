"""The scores of a run on files, as a table for the terminal."""

from rich.markup import escape
from rich.table import Table

from pianogen.evaluation.results import Results, percentages
from pianogen.terminal import plain_table

_CAPTION = (
    "NLL in nats, xxeos included. P, R, F1: of the next word, in percent, mean over classes weighted by their targets. "
    "bar: where a note surprises most on average."
)
_COLUMNS = ("file", "notes", "s", "NLL/token", "/note", "/s", "P", "R", "F1", "bar")


def files_table(summary: Results) -> Table:
    """The scores of a run on files, for the terminal: one line each, then all together."""
    table = plain_table(_CAPTION, text=_COLUMNS[:1], numbers=_COLUMNS[1:])
    table.title, table.title_justify = f"{escape(summary['run'])}, step {summary['step']}", "left"
    for entry in summary["files"]:
        table.add_row(escape(entry["name"]), *_cells(entry["results"]), str(entry["surprising_bars"][0]["bar"]))
    if len(summary["files"]) > 1:
        table.add_section()
        table.add_row("all", *_cells(summary["total"]), "")
    return table


def _cells(found: Results) -> list[str]:
    nll = [found["nll"][f"nats_per_{unit}"] for unit in ("token", "note", "second")]
    percent = percentages(found, "weighted")
    return [
        f"{found['notes']:,}",
        f"{found['seconds']:,.0f}",
        *("-" if value is None else f"{value:.2f}" for value in nll),
        *(f"{value:.1f}" for value in percent),
    ]
