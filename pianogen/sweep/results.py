"""The results of a sweep: the best settings as a file for train, every trial as a row, and a short table."""

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from pianogen.config import TrainConfig, flatten, to_dict
from pianogen.errors import RunError
from pianogen.files import write_atomic, write_json
from pianogen.sweep.naming import Value, put, with_settings
from pianogen.sweep.study import Study, trial_settings
from pianogen.terminal import plain_table, print_tables

_STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
_NUM_SHOWN = 10
FIGURE = "trials.png"


@dataclass(frozen=True)
class TrialRow:
    """One trial."""

    number: int
    state: str
    nll: float
    """Lowest validation NLL per token, in nats; infinite before the first validation."""
    best_step: int | None
    last_step: int | None
    settings: dict[str, Value]
    reason: str


def rows_of(trials: list[FrozenTrial]) -> list[TrialRow]:
    """The trials by state, finished ones first, then by validation NLL."""
    order = list(_STATES.values())
    return sorted(map(_row_of, trials), key=lambda row: (order.index(row.state), row.nll, row.number))


def best_of(rows: Sequence[TrialRow]) -> TrialRow | None:
    """The finished trial with the lowest validation NLL, if any."""
    finished = (row for row in rows if row.state == "finished")
    return min(finished, key=lambda row: (row.nll, row.number), default=None)


def _row_of(trial: FrozenTrial) -> TrialRow:
    nll_by_step = {step: nll for step, nll in trial.intermediate_values.items() if math.isfinite(nll)}
    best = min(nll_by_step, key=lambda step: (nll_by_step[step], step), default=None)
    return TrialRow(
        number=trial.number,
        state=_STATES[trial.state],
        nll=math.inf if best is None else nll_by_step[best],
        best_step=best,
        last_step=max(trial.intermediate_values, default=None),
        settings=trial_settings(trial),
        reason=trial.user_attrs.get("reason", ""),
    )


def write_results(study: Study, base: TrainConfig) -> None:
    """Write trials.csv, status.json and, once a trial has finished, best.yaml, from all trials so far."""
    with study.locked():
        rows = rows_of(study.trials())
        write_atomic(study.folder / "trials.csv", _csv(rows))
        if rows and rows[0].state == "finished":
            write_atomic(study.folder / "best.yaml", best_yaml(rows[0], base, study.folder))
        write_json(study.folder / "status.json", {"state": _state(rows, study.num_trials)})


def _state(rows: list[TrialRow], num_trials: int) -> str:
    over = len(rows) >= num_trials and all(row.state in ("finished", "pruned", "failed") for row in rows)
    return "finished" if over else "running"


def _csv(rows: list[TrialRow]) -> str:
    searched = list(dict.fromkeys(name for row in rows for name in row.settings))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "validation_nll", "best_step", "last_step", *searched, "reason"])
    for row in rows:
        nll = "" if math.isinf(row.nll) else repr(row.nll)
        settings = [row.settings.get(name) for name in searched]
        writer.writerow([f"{row.number:04d}", row.state, nll, row.best_step, row.last_step, *settings, row.reason])
    return text.getvalue()


def best_yaml(row: TrialRow, base: TrainConfig, folder: Path) -> str:
    """The settings that differ from the defaults, for `pianogen train --config`; without the sweep's data.fraction."""
    searched = set(row.settings)
    if "data.fraction" not in searched:
        base = replace(base, data=replace(base.data, fraction=1.0))
    settings = flatten(to_dict(replace(with_settings(base, row.settings), out="")))
    defaults = flatten(to_dict(TrainConfig()))
    file: dict[str, Any] = {}
    for name, value in settings.items():
        if name in searched or value != defaults[name]:
            put(file, name, value)
    chosen = ", ".join(row.settings)
    head = f"# Trial {row.number:04d} of {folder.name}: lowest validation NLL, {row.nll:.4f}. Searched: {chosen}.\n"
    note = "# The budget is that of the trials; unless data.fraction was searched, this file takes all of the data.\n"
    return head + note + yaml.safe_dump(file, sort_keys=False)


def print_results(study: Study) -> None:
    """Print the best trials and the paths of the results.

    Raises:
        RunError: Every trial failed.
    """
    rows = rows_of(study.trials())
    counts = Counter(row.state for row in rows)
    if rows and counts["failed"] == study.num_trials:
        raise RunError(f"all {len(rows)} trials of {study.folder} failed; the first: {rows[0].reason}")
    print_tables(_table(rows[:_NUM_SHOWN]))
    states = ", ".join(f"{number} {state}" for state, number in counts.items())
    print(f"{len(rows)} of {study.num_trials} trials: {states or 'none'}; {study.folder / 'trials.csv'}")
    if (study.folder / FIGURE).exists():
        print(f"figure: {study.folder / FIGURE}")
    if (study.folder / "best.yaml").exists():
        print(f"best settings: pianogen train --config {study.folder / 'best.yaml'} --out RUN")


def _table(rows: list[TrialRow]) -> Table:
    searched = list(dict.fromkeys(name for row in rows for name in row.settings))
    table = plain_table(text=("trial", "state"), numbers=("validation NLL", "step", *searched))
    for row in rows:
        nll = "-" if math.isinf(row.nll) else f"{row.nll:.4f}"
        settings = [short(row.settings.get(name)) for name in searched]
        table.add_row(f"{row.number:04d}", row.state, nll, str(row.best_step or "-"), *settings)
    return table


def short(value: Value) -> str:
    """A value with at most three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
