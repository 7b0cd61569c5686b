"""The measures of every window of a set of pieces, by several processes. N windows, P pieces, K values of all measures.

Imports no torch, so that a worker process starts quickly.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from pianogen.judge.spacing import spread
from pianogen.metrics.music import METRICS, Metric, Piece, Windows
from pianogen.metrics.sets import Sample

WHOLE = "whole"
_ENDS = np.cumsum([metric.size for metric in METRICS]).tolist()
COLUMNS: dict[str, slice] = {m.name: slice(end - m.size, end) for m, end in zip(METRICS, _ENDS, strict=True)}
"""Where the values of each measure are among the K."""
SCALARS: tuple[Metric, ...] = tuple(metric for metric in METRICS if metric.size == 1)
_NUM_VALUES = _ENDS[-1]
_WORTH_A_PROCESS = 20_000  # notes; fewer are measured sooner than a process starts


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """The measures of the windows of a set."""

    values: Float[np.ndarray, "N K"]
    piece: Int[np.ndarray, " N"]
    num_pieces: int

    def of(self, name: str) -> Float[np.ndarray, "N k"]:
        """One measure."""
        return self.values[:, COLUMNS[name]]

    def sample(self) -> Sample:
        """The measures of one value, for a Frechet distance."""
        return Sample(np.column_stack([self.of(one.name) for one in SCALARS]), self.piece, self.num_pieces)

    @property
    def windows_of_pieces(self) -> Int[np.ndarray, " P"]:
        """How many windows each piece has."""
        return np.bincount(self.piece, minlength=self.num_pieces)

    def as_many_as(self, other: "FeatureTable") -> "FeatureTable":
        """A piece for each one of the other set, with as many windows, evenly spaced; pieces without any are no pieces.

        It has fewer where the set itself has.
        """
        wanted, has = (counts[counts > 0].tolist() for counts in (other.windows_of_pieces, self.windows_of_pieces))
        rows = [
            own[spread(len(own), count)]
            for own, count in zip(np.split(np.argsort(self.piece, kind="stable"), np.cumsum(has)), wanted, strict=False)
            if len(own)
        ]
        kept = np.concatenate(rows) if rows else np.zeros(0, int)
        return FeatureTable(self.values[kept], np.repeat(np.arange(len(rows)), list(map(len, rows))), len(rows))


Tables = dict[str, FeatureTable]
"""By the length of the windows: `whole`, `10 s`, ..."""


def window_names(windows_s: Sequence[float]) -> list[str]:
    """The names of the windows, from short to long."""
    return [*(f"{seconds:g} s" for seconds in sorted(windows_s)), WHOLE]


def measure(piece: Piece, windows_s: Sequence[float]) -> list[Float[np.ndarray, "W K"]]:
    """All measures of the windows of one piece, in the order of `window_names`."""
    cut = [Windows.of_seconds(piece, seconds) for seconds in sorted(windows_s)]
    return [*(_measured(one, is_whole=False) for one in cut), _measured(Windows.whole(piece), is_whole=True)]


def _measured(made: Windows, *, is_whole: bool) -> Float[np.ndarray, "W K"]:
    values = np.full((made.num, _NUM_VALUES), np.nan, np.float32)
    for one in METRICS:
        if made.num and (is_whole or not one.whole_only):
            values[:, COLUMNS[one.name]] = one(made)
    return values


def tables(
    pieces: Sequence[Piece], windows_s: Sequence[float], workers: int | None, advance: Callable[[int], None]
) -> Tables:
    """Measure pieces; `advance` is called with the number of pieces that are done."""
    rows = []
    for found in _all(pieces, windows_s, workers):
        rows.append(found)
        advance(1)
    made: Tables = {}
    for place, name in enumerate(window_names(windows_s)):
        parts = [found[place] for found in rows]
        number = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        values = np.concatenate(parts) if parts else np.zeros((0, _NUM_VALUES), np.float32)
        made[name] = FeatureTable(values.astype(np.float64), number, len(parts))
    return made


def _all(pieces: Sequence[Piece], windows_s: Sequence[float], workers: int | None) -> Iterator[list[np.ndarray]]:
    work = partial(measure, windows_s=tuple(windows_s))
    notes = sum(len(piece.notes) for piece in pieces)
    processes = min(workers or len(os.sched_getaffinity(0)), max(1, notes // _WORTH_A_PROCESS))
    if processes == 1:
        yield from map(work, pieces)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(work, [Piece(one.notes, one.steps_per_quarter) for one in pieces], chunksize=2)
