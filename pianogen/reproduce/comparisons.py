"""Paired bootstrap between rows of a table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from pianogen.errors import RunError
from pianogen.metrics import Interval, PerformanceSums, intervals, resampled
from pianogen.reproduce.results import Result
from pianogen.reproduce.rows import Row, markdown


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

    def verdict(self, rows: Sequence[Row]) -> str:
        """One sentence for each pair of neighbouring rows: what all of their runs together show."""
        sentences = [
            f"{second.label} against {first.label} ({_number_of_pairs(pairs)}): {_outcomes(self.pooled(pairs))}."
            for first, second in pairwise(rows)
            if (pairs := pairs_of(first, second))
        ]
        return " ".join(sentences)

    def _lines(self, first: Row, second: Row) -> Iterator[list[str]]:
        pairs = pairs_of(first, second)
        name = f"{second.label} minus {first.label}"
        for one, other in pairs:
            yield [name, f"{other.name}, {one.name}", *_cells(self.pooled([(one, other)]))]
        if len(pairs) > 1:
            yield [name, f"all {len(pairs)}", *_cells(self.pooled(pairs))]

    def pooled(self, pairs: Sequence[tuple[Result, Result]]) -> dict[str, Interval]:
        """The second model minus the first, the mean over the pairs, by measure.

        Raises:
            RunError: The two of a pair were scored on different targets.
        """
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


def pairs_of(first: Row, second: Row) -> list[tuple[Result, Result]]:
    """The runs of the same position in both rows, where both are finished."""
    return [(one, other) for one, other in zip(first.results, second.results, strict=False) if one and other]


def _number_of_pairs(pairs: Sequence[object]) -> str:
    return f"{len(pairs)} pairs of runs" if len(pairs) > 1 else "1 pair of runs"


def _outcomes(found: Mapping[str, Interval]) -> str:
    """What each interval says: a direction if it excludes 0."""
    names = (("nll", "NLL"), ("accuracy", "micro"), ("weighted_f1", "weighted F1"))
    return ", ".join(f"{title} {direction(found[name])}" for name, title in names)


def direction(one: Interval) -> str:
    """Whether a difference is higher or lower than 0, by its interval."""
    if one.low > 0:
        return "higher"
    return "lower" if one.high < 0 else "not distinguished"


def _cells(found: Mapping[str, Interval]) -> list[str]:
    scales = (("nll", 1, 4), ("accuracy", 100, 2), ("weighted_f1", 100, 2))
    return [interval_text(found[name], scale, digits) for name, scale, digits in scales]


def interval_text(one: Interval, scale: float = 1, digits: int = 4) -> str:
    """The difference with its interval in brackets."""
    difference, low, high = (f"{scale * value:+.{digits}f}" for value in (one.difference, one.low, one.high))
    return f"{difference} [{low}, {high}]"
