"""The rows of the page's tables: the runs of a row, and the averages read from their result files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pianogen.evaluation.report import PAPER_PERCENT
from pianogen.reproduce.plan import Table
from pianogen.reproduce.results import Result

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

    def paper(self, split: str = "test") -> tuple[float, float, float] | None:
        """The paper's precision, recall and F1 in percent, if it has this kind of model."""
        return PAPER_PERCENT.get(self.found[0].kind, {}).get(split) if self.found else None


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


def rule(title: str, section: tuple[str, str], prefix: str) -> Rule:
    return Rule(title, section, (f"{prefix}_precision", f"{prefix}_recall", f"{prefix}_f1"))


CARRIED, CUT, PADDED = ("test", "averages"), ("paper_code", "without_padding"), ("paper_code", "with_padding")
_MICRO = ("accuracy", "accuracy", "accuracy")
RULES = (
    rule("macro, occurring classes", CARRIED, "macro"),
    Rule("macro, mean of F1", CARRIED, ("macro_precision", "macro_recall", "macro_f1_sklearn")),
    rule("macro, all 312 words", CARRIED, "all_classes"),
    rule("weighted", CARRIED, "weighted"),
    Rule("micro", CARRIED, _MICRO),
    rule("as the paper's code, macro", PADDED, "macro"),
    rule("as the paper's code, weighted", PADDED, "weighted"),
    Rule("as the paper's code, micro", PADDED, _MICRO),
)
WEIGHTED = RULES[3]
TRAIN_WEIGHTED = rule("", ("train", "averages"), "weighted")


def rows_of(table: Table, results: Mapping[str, Result]) -> list[Row]:
    """The rows of a table, with the runs that are finished."""
    return [Row(label, tuple(results.get(name) for name in names)) for label, names in table.rows.items()]


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (headings, ["---"] * len(headings), *lines))


def nll_of(result: Result) -> float:
    """Nats per token on the test split."""
    return result.content["test"]["nll"]["nats_per_token"]


def mean_percent(row: Row, rule: Rule) -> tuple[float, ...]:
    """Precision, recall and F1 in percent, each the mean over the runs."""
    return tuple(fmean(values) for values in zip(*map(rule.percent, row.found), strict=True))


def percents(values: Sequence[float]) -> str:
    """Percentages with slashes between."""
    return " / ".join(f"{value:.1f}" for value in values)
