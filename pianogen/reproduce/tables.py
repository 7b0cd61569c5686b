"""The tables of the page, in Markdown; every number in them comes from a result file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

import numpy as np

from pianogen.errors import RunError
from pianogen.evaluation.report import PAPER_PERCENT
from pianogen.metrics import Interval, PerformanceSums, intervals, resampled
from pianogen.reproduce.plan import Table
from pianogen.reproduce.results import Result

_PAPER_F1 = [paper["test"][2] for paper in PAPER_PERCENT.values()]
ABSENT = "-"


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    label: str
    results: tuple[Result | None, ...]
    """One for each of its runs, in the order of the plan; None if it is not finished."""

    @property
    def found(self) -> list[Result]:
        """The results there are."""
        return [result for result in self.results if result]

    def mean(self, of: Callable[[Result], float]) -> float:
        """The mean over the runs."""
        return fmean(map(of, self.found))

    @property
    def paper(self) -> tuple[float, float, float] | None:
        """The paper's precision, recall and F1 in percent, if it has this kind of model."""
        return PAPER_PERCENT.get(self.found[0].kind, {}).get("test") if self.found else None


@dataclass(frozen=True)
class Rule:
    """A rule of averaging: where precision, recall and F1 are in a result."""

    title: str
    section: tuple[str, str]
    names: tuple[str, str, str]

    def percent(self, result: Result) -> tuple[float, float, float]:
        """Precision, recall and F1 in percent."""
        averages = result.content[self.section[0]][self.section[1]]
        precision, recall, f1 = (100 * averages[name] for name in self.names)
        return precision, recall, f1


def _rule(title: str, section: tuple[str, str], prefix: str) -> Rule:
    return Rule(title, section, (f"{prefix}_precision", f"{prefix}_recall", f"{prefix}_f1"))


_CARRIED, _CUT, _PADDED = ("test", "averages"), ("paper_code", "without_padding"), ("paper_code", "with_padding")
_MICRO = ("accuracy", "accuracy", "accuracy")
RULES = (
    _rule("macro, occurring classes", _CARRIED, "macro"),
    Rule("macro, mean of F1", _CARRIED, ("macro_precision", "macro_recall", "macro_f1_sklearn")),
    _rule("macro, all 312 words", _CARRIED, "all_classes"),
    _rule("weighted", _CARRIED, "weighted"),
    Rule("micro", _CARRIED, _MICRO),
    _rule("as the paper's code, macro", _PADDED, "macro"),
    _rule("as the paper's code, weighted", _PADDED, "weighted"),
    Rule("as the paper's code, micro", _PADDED, _MICRO),
)
WEIGHTED = RULES[3]
_SWITCHES = (
    ("carried, no padding", WEIGHTED),
    ("cut, no padding", _rule("", _CUT, "weighted")),
    ("cut, padding counted", _rule("", _PADDED, "weighted")),
    ("carried, padded batches", _rule("", ("padded_batches", "with_padding"), "weighted")),
)


def rows_of(table: Table, results: Mapping[str, Result]) -> list[Row]:
    """The rows of a table, with the runs that are finished."""
    return [Row(label, tuple(results.get(name) for name in names)) for label, names in table.rows.items()]


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (headings, ["---"] * len(headings), *lines))


def models_table(rows: Sequence[Row]) -> str:
    """Mean and each run of every row, beside the paper's figures."""
    headings = [
        "model",
        "runs",
        "tokens",
        "NLL",
        "weighted P / R / F1",
        "weighted F1 of each",
        "micro",
        "paper P / R / F1",
    ]
    return markdown(headings, [_models_line(row) for row in rows])


def _models_line(row: Row) -> list[str]:
    paper = percents(row.paper) if row.paper else ABSENT
    if not row.found:
        return [row.label, _runs(row), *[ABSENT] * 5, paper]
    return [
        row.label,
        _runs(row),
        _tokens(row),
        _mean_and_each(row, nll_of, "{:.3f}"),
        percents(mean_percent(row, WEIGHTED)),
        ", ".join(f"{WEIGHTED.percent(result)[2]:.1f}" for result in row.found),
        f"{mean_percent(row, RULES[4])[0]:.1f}",
        paper,
    ]


def nll_of(result: Result) -> float:
    """Nats per token on the test split."""
    return result.content["test"]["nll"]["nats_per_token"]


def mean_percent(row: Row, rule: Rule) -> tuple[float, ...]:
    """Precision, recall and F1 in percent, each the mean over the runs."""
    return tuple(fmean(values) for values in zip(*map(rule.percent, row.found), strict=True))


def percents(values: Sequence[float]) -> str:
    """Percentages with slashes between."""
    return " / ".join(f"{value:.1f}" for value in values)


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


def rules_table(rows: Sequence[Row]) -> str:
    """F1 under every rule of averaging."""
    lines = [
        [row.label, *[f"{mean_percent(row, rule)[2]:.1f}" if row.found else ABSENT for rule in RULES], _paper_f1(row)]
        for row in rows
    ]
    return markdown(["F1", *[rule.title for rule in RULES], "paper"], lines)


def _paper_f1(row: Row) -> str:
    return f"{row.paper[2]:.1f}" if row.paper else ABSENT


def switches_table(rows: Sequence[Row]) -> str:
    """Weighted F1 of the same model under each switch, and how much padding would give the paper's figure."""
    headings = ["weighted F1", *[title for title, _ in _SWITCHES], "padding of excerpts", "of batches"]
    headings.append("padding for the paper's F1")
    return markdown(headings, [_switches_line(row) for row in rows])


def _switches_line(row: Row) -> list[str]:
    if not row.found:
        return [row.label, *[ABSENT] * (len(_SWITCHES) + 3)]
    f1 = [mean_percent(row, rule)[2] for _, rule in _SWITCHES]
    excerpts, batches = (
        row.mean(lambda result, section=section: result.content[section]["padding_share"])
        for section in ("paper_code", "padded_batches")
    )
    needed = f"{100 * padding_needed(f1[0], row.paper[2]):.0f} %" if row.paper else ABSENT
    return [row.label, *[f"{value:.1f}" for value in f1], f"{100 * excerpts:.1f} %", f"{100 * batches:.1f} %", needed]


def padding_needed(f1: float, wanted: float) -> float:
    """The share of padding among all positions with which weighted F1, in percent, would be `wanted`.

    A class that is always right and never predicted elsewhere has F1 100: the weighted mean is linear in its share.
    """
    return max(0.0, (wanted - f1) / (100 - f1))


def level_sentence(rows: Sequence[Row]) -> str:
    """Which rules and models reach the paper's level."""
    low, high = min(_PAPER_F1), max(_PAPER_F1)
    reached = [
        f"{row.label}, {rule.title} ({mean_percent(row, rule)[2]:.1f})"
        for rule in RULES
        for row in rows
        if row.found and low <= mean_percent(row, rule)[2] <= high
    ]
    found = "; ".join(reached) or "none of these"
    return f"F1 from {low:.1f} to {high:.1f} %, as in the paper: {found}."


class Comparisons:
    """The bootstrap of every pair of neighbouring rows; each run is resampled once."""

    def __init__(self, read: Callable[[str], PerformanceSums]) -> None:
        self._read = read
        self._sums: dict[str, PerformanceSums] = {}
        self._draws: dict[str, np.ndarray] = {}

    def table(self, rows: Sequence[Row]) -> str | None:
        """Differences of the measures with their intervals, per pair of runs and pooled; None without any pair."""
        lines = [line for first, second in pairwise(rows) for line in self._lines(first, second)]
        headings = ["second minus first", "runs", "NLL, nats per token", "micro, points", "weighted F1, points"]
        return markdown(headings, lines) if lines else None

    def _lines(self, first: Row, second: Row) -> Iterator[list[str]]:
        pairs = [(one, other) for one, other in zip(first.results, second.results, strict=False) if one and other]
        name = f"{second.label} minus {first.label}"
        for one, other in pairs:
            yield [name, f"{other.name}, {one.name}", *_cells(self._intervals([(one, other)]))]
        if len(pairs) > 1:
            yield [name, f"all {len(pairs)}", *_cells(self._intervals(pairs))]

    def _intervals(self, pairs: Sequence[tuple[Result, Result]]) -> dict[str, Interval]:
        for one, other in pairs:
            if not np.array_equal(self._sums_of(one).support, self._sums_of(other).support):
                raise RunError(
                    f"{one.name} and {other.name} were scored on different targets, so they cannot be paired"
                )
        return intervals([self._draws[one.name] for one, _ in pairs], [self._draws[other.name] for _, other in pairs])

    def _sums_of(self, result: Result) -> PerformanceSums:
        if result.name not in self._sums:
            self._sums[result.name] = self._read(result.name)
            self._draws[result.name] = resampled(self._sums[result.name])
        return self._sums[result.name]


def _cells(found: Mapping[str, Interval]) -> list[str]:
    scales = (("nll", 1, 4), ("accuracy", 100, 2), ("weighted_f1", 100, 2))
    return [_interval(found[name], scale, digits) for name, scale, digits in scales]


def _interval(one: Interval, scale: float, digits: int) -> str:
    difference, low, high = (f"{scale * value:+.{digits}f}" for value in (one.difference, one.low, one.high))
    return f"{difference} [{low}, {high}]"


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
