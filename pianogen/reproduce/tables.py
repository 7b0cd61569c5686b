"""The tables of models, of recipes and of runs, in Markdown; every number in them comes from a result file."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from pianogen.evaluation.results import nats_per_note_by_group, percentages
from pianogen.metrics import GROUPS
from pianogen.reproduce.baselines import Scores
from pianogen.reproduce.results import Result
from pianogen.reproduce.rows import (
    ABSENT,
    RULES,
    TRAIN_WEIGHTED,
    WEIGHTED,
    Row,
    markdown,
    mean_percent,
    nll_of,
    percents,
)


def models_table(rows: Sequence[Row], baselines: Mapping[str, Scores]) -> str:
    """Mean and each run of every row, beside the paper's figures, then the baselines."""
    headings = [
        "model",
        "runs",
        "tokens",
        "NLL",
        "weighted P / R / F1",
        "weighted F1 of each",
        "micro",
        "paper P / R / F1",
        "weighted P / R / F1, train",
        "paper, train",
    ]
    lines = [_models_line(row) for row in rows]
    return markdown(headings, [*lines, *[_baseline_line(name, scores) for name, scores in baselines.items()]])


def _models_line(row: Row) -> list[str]:
    paper, paper_train = (percents(values) if values else ABSENT for values in (row.paper(), row.paper("train")))
    if not row.found:
        return [row.label, _runs(row), *[ABSENT] * 5, paper, ABSENT, paper_train]
    trained = Row(row.label, tuple(result for result in row.found if "train" in result.content))
    return [
        row.label,
        _runs(row),
        _tokens(row),
        _mean_and_each(row, nll_of, "{:.3f}"),
        percents(mean_percent(row, WEIGHTED)),
        ", ".join(f"{WEIGHTED.percent(result)[2]:.1f}" for result in row.found),
        f"{mean_percent(row, RULES[4])[0]:.1f}",
        paper,
        percents(mean_percent(trained, TRAIN_WEIGHTED)) if trained.found else ABSENT,
        paper_train,
    ]


def _baseline_line(name: str, scores: Scores) -> list[str]:
    return [
        name,
        ABSENT,
        ABSENT,
        f"{scores['test']['nll']['nats_per_token']:.3f}",
        percents(percentages(scores["test"], "weighted")),
        ABSENT,
        f"{100 * scores['test']['averages']['accuracy']:.1f}",
        ABSENT,
        percents(percentages(scores["train"], "weighted")),
        ABSENT,
    ]


def _runs(row: Row) -> str:
    return f"{len(row.found)} of {len(row.results)}" if None in row.results else str(len(row.results))


def _tokens(row: Row) -> str:
    return " to ".join(f"{tokens:,}" for tokens in sorted({min(map(_seen, row.found)), max(map(_seen, row.found))}))


def _seen(result: Result) -> int:
    return result.tokens


def _mean_and_each(row: Row, of: Callable[[Result], float], form: str) -> str:
    mean = form.format(row.mean(of))
    each = ", ".join(form.format(of(result)) for result in row.found)
    return mean if len(row.found) == 1 else f"{mean} ({each})"


def recipes_table(rows: Sequence[Row], against_first: Callable[[Row], str]) -> str:
    """What each row predicts and costs, beside the first row."""
    headings = [
        "recipe",
        "runs",
        "parameters",
        "tokens/s",
        "NLL per note",
        "of notes + waits + lengths",
        "per second",
        "change",
        "per token",
        "per token minus the first [95 %]",
        "weighted F1",
    ]
    return markdown(headings, [_recipe_line(row, rows[0], against_first) for row in rows])


def _recipe_line(row: Row, first: Row, against_first: Callable[[Row], str]) -> list[str]:
    if not row.found:
        return [row.label, _runs(row), *[ABSENT] * 9]
    per_note = row.mean(lambda result: _likelihoods(result)["nats_per_note"])
    base = first.mean(lambda result: _likelihoods(result)["nats_per_note"]) if first.found else None
    return [
        row.label,
        _runs(row),
        _given(row, "parameters"),
        _given(row, "tokens_per_cpu_s"),
        f"{per_note:.3f}",
        " + ".join(f"{row.mean(partial(_nats_per_note, group=group)):.3f}" for group in GROUPS[:3]),
        f"{row.mean(lambda result: _likelihoods(result)['nats_per_second']):.2f}",
        f"{100 * (per_note / base - 1):+.1f} %" if base else ABSENT,
        _mean_and_each(row, nll_of, "{:.3f}"),
        against_first(row),
        f"{mean_percent(row, WEIGHTED)[2]:.1f}",
    ]


def _likelihoods(result: Result) -> Mapping[str, Any]:
    return result.content["test"]["nll"]


def _nats_per_note(result: Result, group: str) -> float:
    return nats_per_note_by_group(result.content["test"])[group]


def _given(row: Row, name: str) -> str:
    """The mean of a number that results of earlier versions lack."""
    found = [result.content[name] for result in row.found if result.content.get(name)]
    return f"{fmean(found):,.0f}" if found else ABSENT


def runs_table(results: Sequence[Result]) -> str:
    """Where and how each run was made."""
    headings = ["run", "seed", "tokens", "hours", "tokens/s", "machine", "arithmetic", "commit", "weights"]
    return markdown(headings, [_run_line(result.name, result.content) for result in results])


def _run_line(name: str, content: Mapping[str, Any]) -> list[str]:
    machine = content["machine"]
    where = f"{machine['gpu'] or machine['processor']}, threads: {machine['threads']}"
    return [
        name,
        str(content["seed"]),
        f"{content['tokens']:,}",
        f"{content['hours']:.2f}",
        f"{content['tokens_per_s']:,}" if content["tokens_per_s"] else ABSENT,
        where,
        f"{content['precision']}, {machine['operations']}",
        (content["commit"] or ABSENT)[:10],
        content["checkpoint"]["sha256"][:10] if "checkpoint" in content else ABSENT,
    ]


def unfinished_table(results: Sequence[Result]) -> str:
    """Runs that were stopped, at their tokens; their scores are of the validation slice."""
    headings = [
        "run, unfinished",
        "at tokens",
        "hours",
        "validated at tokens",
        "validation NLL",
        "validation weighted F1",
    ]
    return markdown(headings, [_unfinished_line(result) for result in results])


def _unfinished_line(result: Result) -> list[str]:
    begin = [result.name, f"{result.tokens:,}", f"{result.content['hours']:.2f}"]
    if not result.curve:
        return [*begin, *[ABSENT] * 3]
    last = result.curve[-1]
    return [*begin, f"{last['tokens']:,}", f"{last['nll']:.3f}", f"{100 * last['weighted_f1']:.1f}"]
