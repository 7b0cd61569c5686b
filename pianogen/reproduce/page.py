"""The page of a plan: a function of the plan and the result files, which holds with any part of them.

RESULTS.md  RESULTS/learning-curves.png  RESULTS/rules-TABLE.png
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from pianogen.config import EvaluateConfig
from pianogen.files import write_atomic
from pianogen.reproduce.averages import level_sentence, rules_table, switches_table
from pianogen.reproduce.baselines import Scores, read_baselines
from pianogen.reproduce.comparisons import Comparisons, interval_text, pairs_of
from pianogen.reproduce.curves import extrapolation_table, write_curves
from pianogen.reproduce.judged import judged_table, not_judged, read_judged
from pianogen.reproduce.plan import Plan, Table
from pianogen.reproduce.results import Result, read_result, read_sums, read_unfinished
from pianogen.reproduce.rows import ABSENT, Row, rows_of
from pianogen.reproduce.rules_figure import write_rules_figure
from pianogen.reproduce.tables import models_table, recipes_table, runs_table, unfinished_table

CURVES = "learning-curves.png"
_NOTES = {
    "models": (
        "NLL in nats per token, xxeos included; the rest in percent. Of several runs the mean, then each. weighted: "
        "mean over classes, weighted by their targets. micro: share of the targets predicted. All on the whole test "
        "split, by the last checkpoint, with the past carried; train: a seeded choice of performances with about "
        f"{EvaluateConfig.train_tokens:,} targets. paper: read off its Figure 5, on its own split of MAESTRO v1."
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
    "judged": (
        "How far the measures of windows are from those of the beginnings of the test split; the "
        "rest of a performance differs from its beginning. Frechet: squared distance in its standard deviations, in "
        "brackets the middle 95 % over draws of the pieces; overlap: mean overlapping area of the distances within the "
        "test split and to it, over all measures (1: alike); KL: mean divergence of the same, in nats (0: alike). "
        "floor: the same of as many other real pieces, of the training split. With prompt: continuations of "
        "performances of the test split, without the notes of the prompt."
    ),
    "recipes": (
        "NLL in nats, on the test split; per note, it is the sum of the NLL of note, wait and length tokens (and of "
        "the ends, which are few). change: of the NLL per note, against the first row. In brackets the middle 95 % of "
        "a paired bootstrap over the test performances, for rows with the same tokens; it says nothing of other seeds. "
        "Where the grid or the pedal differs, compare per note and per second: a finer grid must also predict finer "
        "waits and lengths. tokens/s: per second of processor time (the median over the steps), which other work on "
        "the machine changes less than wall time."
    ),
}
_COMPARED = (
    "Paired bootstrap over the test performances: the difference, and the middle 95 % of it over 10,000 draws with "
    "replacement (seed 0), the same performances for both; higher or lower means an interval without 0. Runs are not "
    "drawn: the intervals say nothing of other seeds."
)
_EXTRAPOLATED = (
    "Extrapolation, not a measurement: a straight line through the second half of the curve, over the logarithm of "
    "the tokens. The learning rate falls over that half, which makes the curve steeper than that of a longer run "
    "would be there."
)


def write_page(plan: Plan, folder: Path) -> Path:
    """Write the page beside the folder of the results and its figures into it; return the page's path.

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
    page = page_file(folder)
    write_atomic(page, page_of(plan, finished, unfinished, folder))
    return page


def page_file(folder: Path) -> Path:
    """RESULTS.md, beside the folder RESULTS."""
    return folder.with_name(f"{folder.name}.md")


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
        rows = rows_of(table, finished)
        if table.columns == "judged":
            parts += _judged_section(table, rows, plan, folder)
            continue
        scores = read_baselines(folder, plan.runs[table.first_run]) if table.baselines else {}
        parts += _section(table, rows, comparisons, scores, folder.name)
    parts += _curves([*finished.values(), *unfinished], folder.name)
    if unfinished:
        parts += ["## Unfinished runs", unfinished_table(unfinished), "Scores are of the validation slice."]
    if finished or unfinished:
        parts += ["## Runs", runs_table([*finished.values(), *unfinished])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(
    table: Table, rows: Sequence[Row], comparisons: Comparisons, scores: Mapping[str, Scores], folder: str
) -> Iterator[str]:
    yield f"## {table.title}"
    if not any(row.found for row in rows):
        yield "None of these runs is finished."
        return
    yield _table(table, rows, comparisons, scores)
    yield _NOTES[table.columns]
    if table.columns == "rules":
        yield level_sentence(rows)
        yield f"![Precision, recall and F1 under every rule of averaging]({folder}/{rules_figure(table)})"
    yield table.text
    if table.compared and (differences := comparisons.table(rows)):
        yield differences
        yield f"{comparisons.verdict(rows)} {_COMPARED}"


def _judged_section(table: Table, rows: Sequence[Row], plan: Plan, folder: Path) -> Iterator[str]:
    results = {result.name: result for row in rows for result in row.found}
    read = {name: read_judged(folder, result, plan.pieces) for name, result in results.items()}
    found = {name: sets for name, sets in read.items() if sets}
    pieces = plan.pieces
    yield f"## {table.title}"
    if found:
        yield judged_table(rows, found)
        yield (
            f"{_NOTES['judged']} {pieces.num} pieces of each kind (seed {pieces.seed}, temperature 1, the last "
            f"checkpoint), their first {pieces.seconds:g} s, prompts of {pieces.prompt_seconds:g} s, all at 120 "
            "quarters per minute."
        )
    yield not_judged(table.names, results, found)
    yield table.text


def _table(table: Table, rows: Sequence[Row], comparisons: Comparisons, scores: Mapping[str, Scores]) -> str:
    if table.columns == "models":
        return models_table(rows, scores)
    if table.columns == "recipes":
        return recipes_table(rows, partial(_against, rows[0], comparisons))
    return {"rules": rules_table, "switches": switches_table}[table.columns](rows)


def _against(first: Row, comparisons: Comparisons, row: Row) -> str:
    """The difference in NLL per token from the first row of a table; only runs on the same tokens can be paired."""
    pairs = [
        pair
        for pair in pairs_of(first, row)
        if row is not first and pair[0].content["shards"] == pair[1].content["shards"]
    ]
    return interval_text(comparisons.pooled(pairs)["nll"]) if pairs else ABSENT


def rules_figure(table: Table) -> str:
    """The file name of a table's figure."""
    return f"rules-{table.name}.png"


def _curves(results: Sequence[Result], folder: str) -> Iterator[str]:
    if not any(result.curve for result in results):
        return
    yield "## Learning curves"
    yield f"![Validation NLL and weighted F1 against the targets seen, of every run]({folder}/{CURVES})"
    if table := extrapolation_table(results):
        yield table
        yield _EXTRAPOLATED


def _write_figure(file: Path, draw: partial[None]) -> None:
    image = io.BytesIO()
    draw(image)
    write_atomic(file, image.getvalue())
