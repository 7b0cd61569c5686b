"""Pieces of performances, read at a cost that does not depend on the size of the data set.

A piece is the tokens of a span: the word before its first input, unless that is xxbos; its inputs; the last target.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int8, Int16

from pianogen.data.order import Spans
from pianogen.data.shard_set import Split
from pianogen.tokens.transpose import possible_shifts

READ_AHEAD_TOKENS = 8192  # of a row that reads on: 16 kB per row, 67 MB for 4,096 rows
_UNKNOWN = -128  # no shift is that large


class _Window(NamedTuple):
    """Some tokens of a performance."""

    performance: int
    begin: int
    end: int
    tokens: Int16[np.ndarray, " T"]


class Reader:
    """Reads the pieces of each step. If rows read on, each keeps the tokens that follow.

    A performance is read as a whole once, to check it and to find how far it can be transposed: 2 bytes are kept of it.
    """

    def __init__(self, split: Split, *, reads_on: bool) -> None:
        self.shifts: Int8[np.ndarray, "P 2"] = np.full((len(split.lengths), 2), _UNKNOWN, np.int8)
        """Lowest and highest possible shift of each performance that was read, in semitones."""
        self._split = split
        self._reads_on = reads_on
        self._windows: dict[int, _Window] = {}  # by row of the global batch

    def drop_all_but(self, rows: Sequence[int]) -> None:
        """Drop what is kept for other rows of the global batch, as they do not read on."""
        self._windows = {row: self._windows[row] for row in rows if row in self._windows}

    def pieces(self, spans: Spans, rows: Int[np.ndarray, " N"]) -> list[Int16[np.ndarray, " T"]]:
        """The piece of each span; span n is in row `rows[n]` of the global batch.

        Raises:
            ShardError: A performance cannot be read, or is damaged.
        """
        begins, ends = np.maximum(spans.starts - 1, 0), spans.stops + 1
        columns = (column.tolist() for column in (rows, spans.performances, begins, ends))
        found = []
        for row, performance, begin, end in zip(*columns, strict=True):
            window = self._windows.get(row)
            if window is None or window.performance != performance or not window.begin <= begin < end <= window.end:
                window = self._read(performance, begin, end)
                if self._reads_on:
                    self._windows[row] = window
            found.append(window.tokens[begin - window.begin : end - window.begin])
        return found

    def _read(self, performance: int, begin: int, end: int) -> _Window:
        if self._reads_on:
            end = min(max(end, begin + READ_AHEAD_TOKENS), int(self._split.lengths[performance]))
        if self.shifts[performance, 0] == _UNKNOWN:
            whole = self._split.tokens(performance)
            self.shifts[performance] = possible_shifts(whole)
            tokens = whole[begin:end].copy()  # a view would keep the rest
        else:
            tokens = self._split.tokens(performance, begin, end)
        return _Window(performance, begin, end, tokens)
