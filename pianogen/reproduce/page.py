"""The page of a plan: a function of the plan and the result files, which holds with any part of them.

RESULTS/reproduction.md  learning-curves.png  rules-TABLE.png
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from pianogen.files import write_atomic
from pianogen.reproduce.curves import extrapolation_table, write_curves
from pianogen.reproduce.plan import Plan, Table
from pianogen.reproduce.results import Result, read_result, read_sums, read_unfinished
from pianogen.reproduce.rules_figure import write_rules_figure
from pianogen.reproduce.tables import (
    Comparisons,
    Row,
    level_sentence,
    models_table,
    rows_of,
    rules_table,
    runs_table,
    switches_table,
    unfinished_table,
)

PAGE, CURVES = "reproduction.md", "learning-curves.png"
_NOTES = {
    "models": (
        "NLL in nats per token, xxeos included; the rest in percent. Of several runs the mean, then each. weighted: "
        "mean over classes, weighted by their targets. micro: share of the targets predicted. All on the whole test "
        "split, by the last checkpoint, with the past carried."
    ),
    "rules": (
        "In percent, the mean over runs. macro, occurring classes: 2PR / (P + R) of the mean precision and recall "
        "of the classes that occur; mean of F1: scikit-learn's macro F1; all 312 words: a word that does not occur "
        "counts as 0. As the paper's code: performances are cut into excerpts, each read from an empty state, and "
        "the padding of the last excerpt is a class, which is always right, since the mask never permits it."
    ),
    "switches": (
        "In percent. cut: excerpts, each read from an empty state, the last one of a performance filled with "
        "padding. padded batches: whole performances, in the order of the test split, padded to the longest one of "
        "each batch. Padding is always right. The last column is the share of padding with which the carried F1 "
        "would be the paper's."
    ),
}
_COMPARED = (
    "Paired bootstrap over the test performances: the difference, and the middle 95 % of it over 10,000 draws with "
    "replacement (seed 0), the same performances for both. Runs are not drawn: the intervals say nothing of other "
    "seeds."
)
_EXTRAPOLATED = (
    "Extrapolation, not a measurement: a straight line through the second half of the curve, over the logarithm of "
    "the tokens. The learning rate falls over that half, which makes the curve steeper than that of a longer run "
    "would be there."
)


def write_page(plan: Plan, folder: Path) -> Path:
    """Write the page and its figures into the folder of the results; return the page's path.

    Raises:
        RunError: A result file is damaged.
        SettingError: A result belongs to another entry of the plan.
    """
    finished, unfinished = load_results(plan, folder)
    everything = [*finished.values(), *unfinished]
    if any(result.curve for result in everything):
        shard_sets = {name: run.shard_set for name, run in plan.runs.items()}
        _write_figure(folder / CURVES, partial(write_curves, everything, shard_sets))
    for table in plan.tables:
        rows = [row for row in rows_of(table, finished) if row.found]
        if table.columns == "rules" and rows:
            _write_figure(folder / rules_figure(table), partial(write_rules_figure, rows))
    write_atomic(folder / PAGE, page_of(plan, finished, unfinished, folder))
    return folder / PAGE


def load_results(plan: Plan, folder: Path) -> tuple[dict[str, Result], list[Result]]:
    """The finished results by name, and those of runs that are not finished, in the order of the plan."""
    found = {name: read_result(folder, run) for name, run in plan.runs.items()}
    begun = {name: read_unfinished(folder, name) for name, result in found.items() if result is None}
    return {name: result for name, result in found.items() if result}, [result for result in begun.values() if result]


def page_of(plan: Plan, finished: Mapping[str, Result], unfinished: Sequence[Result], folder: Path) -> str:
    """The page in Markdown."""
    comparisons = Comparisons(partial(read_sums, folder))
    parts = [f"# {plan.title}", plan.text, f"{len(finished)} of {len(plan.runs)} runs of the plan are finished."]
    for table in plan.tables:
        parts += _section(table, rows_of(table, finished), comparisons)
    parts += _curves([*finished.values(), *unfinished])
    if unfinished:
        parts += ["## Unfinished runs", unfinished_table(unfinished), "Scores are of the validation slice."]
    if finished or unfinished:
        parts += ["## Runs", runs_table([*finished.values(), *unfinished])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(table: Table, rows: Sequence[Row], comparisons: Comparisons) -> Iterator[str]:
    yield f"## {table.title}"
    if not any(row.found for row in rows):
        yield "None of these runs is finished."
        return
    yield {"models": models_table, "rules": rules_table, "switches": switches_table}[table.columns](rows)
    yield _NOTES[table.columns]
    if table.columns == "rules":
        yield level_sentence(rows)
        yield f"![Precision, recall and F1 under every rule of averaging]({rules_figure(table)})"
    yield table.text
    if table.compared and (differences := comparisons.table(rows)):
        yield differences
        yield _COMPARED


def rules_figure(table: Table) -> str:
    """The file name of a table's figure."""
    return f"rules-{table.name}.png"


def _curves(results: Sequence[Result]) -> Iterator[str]:
    if not any(result.curve for result in results):
        return
    yield "## Learning curves"
    yield f"![Validation NLL and weighted F1 against the targets seen, of every run]({CURVES})"
    if table := extrapolation_table(results):
        yield table
        yield _EXTRAPOLATED


def _write_figure(file: Path, draw: partial[None]) -> None:
    image = io.BytesIO()
    draw(image)
    write_atomic(file, image.getvalue())
