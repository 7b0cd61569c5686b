"""The order of the excerpts: a pure function of (seed, epoch, step, global batch).

It does not depend on ranks: a rank takes some rows of a step, so any number of ranks that divides the global batch
reads the same order, and resuming needs only the step. It keeps at most 16 bytes per performance. Every step costs the
same, except the first of a stream in an epoch, which permutes the performances.

A performance of n tokens gives n - 1 inputs, the words before the last; the target of an input is the word after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Int, UInt64

from pianogen.randomness import RandomStream, mix, stream_key

_ROUNDS = 6


class Span(NamedTuple):
    """Inputs `start` up to `stop` of one performance in one epoch."""

    performance: int
    start: int
    stop: int
    epoch: int


class Order(Protocol):
    """The interface of an order."""

    steps_per_epoch: int
    reads_on: bool
    """Whether a row of a step continues where the same row of the step before ended."""

    def rows(self, step: int, rows: Sequence[int]) -> list[list[Span]]:
        """The spans that each of these rows of step `step` reads, in time order; none where the last batch is short."""
        ...

    def begins_afresh(self, step: int) -> bool:
        """Whether every row of this step starts from a zero state."""
        ...


def permute(indices: Int[np.ndarray, " N"], size: int, key: int) -> Int[np.ndarray, " N"]:
    """Look indices up in a random permutation of 0..size-1 that is never stored.

    A Feistel network permutes the next power of four; values outside the range are permuted again (cycle walking).

    Reference: Black & Rogaway (2002), Ciphers with Arbitrary Finite Domains.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    values = _feistel(np.asarray(indices).astype(np.uint64), half, key)
    while (outside := values >= size).any():
        values[outside] = _feistel(values[outside], half, key)
    return values.astype(np.int64)


@lru_cache(16)
def _round_keys(key: int) -> tuple[np.uint64, ...]:
    return tuple(np.uint64(stream_key(key, RandomStream.ROUND, number)) for number in range(_ROUNDS))


def _feistel(values: UInt64[np.ndarray, " N"], half: int, key: int) -> UInt64[np.ndarray, " N"]:
    shift, low_bits = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> shift, values & low_bits
    for round_key in _round_keys(key):
        left, right = right, left ^ (mix(right + round_key) & low_bits)
    return (left << shift) | right


@dataclass
class ExcerptOrder:
    """Every excerpt once per epoch in random order, each from a zero state."""

    lengths: Int[np.ndarray, " P"]  # tokens of each performance
    excerpt_tokens: int
    global_batch: int
    seed: int
    reads_on: bool = field(default=False, init=False, repr=False)
    _ends: Int[np.ndarray, " P"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.lengths = self.lengths.astype(np.int32, copy=False)
        self._ends = np.cumsum(self._num_excerpts_of(self.lengths))
        self.num_excerpts = int(self._ends[-1])
        self.steps_per_epoch = -(-self.num_excerpts // self.global_batch)

    def rows(self, step: int, rows: Sequence[int]) -> list[list[Span]]:
        """See `Order.rows`; they are looked up at once, as one costs hardly less than a hundred."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        positions = step_in_epoch * self.global_batch + np.asarray(rows, np.int64)
        exists = positions < self.num_excerpts
        spans = self._spans(positions[exists], epoch)
        return [[next(spans)] if one else [] for one in exists.tolist()]

    def begins_afresh(self, step: int) -> bool:
        """See `Order.begins_afresh`."""
        return True

    def _spans(self, positions: Int[np.ndarray, " N"], epoch: int) -> Iterator[Span]:
        excerpts = permute(positions, self.num_excerpts, stream_key(self.seed, RandomStream.ORDER, epoch))
        performances = np.searchsorted(self._ends, excerpts, side="right")
        lengths = self.lengths[performances]
        left = self._ends[performances] - excerpts  # remaining excerpts of the performance, with this one
        starts = (self._num_excerpts_of(lengths) - left) * self.excerpt_tokens
        stops = np.minimum(starts + self.excerpt_tokens, lengths - 1)
        for performance, start, stop in zip(performances.tolist(), starts.tolist(), stops.tolist(), strict=True):
            yield Span(performance, start, stop, epoch)

    def _num_excerpts_of(self, lengths: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
        return -(-(lengths - 1) // self.excerpt_tokens)


@dataclass
class StreamOrder:
    """Permuted performances, concatenated and cut into as many equal rows as the global batch; state is carried."""

    lengths: Int[np.ndarray, " P"]  # tokens of each performance
    excerpt_tokens: int
    global_batch: int
    seed: int
    reads_on: bool = field(default=True, init=False, repr=False)
    _epoch: int = field(default=-1, init=False, repr=False)

    def __post_init__(self) -> None:
        self.lengths = self.lengths.astype(np.int32, copy=False)
        self._num_inputs = int((self.lengths - 1).sum())
        self._row_tokens = -(-self._num_inputs // self.global_batch)
        self.steps_per_epoch = -(-self._row_tokens // self.excerpt_tokens)

    def rows(self, step: int, rows: Sequence[int]) -> list[list[Span]]:
        """See `Order.rows`."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        self._start_epoch(epoch)
        return [self._row(epoch, step_in_epoch, row) for row in rows]

    def begins_afresh(self, step: int) -> bool:
        """See `Order.begins_afresh`."""
        return step % self.steps_per_epoch == 0

    def _start_epoch(self, epoch: int) -> None:
        if epoch != self._epoch:
            count = len(self.lengths)
            self._permutation = permute(
                np.arange(count), count, stream_key(self.seed, RandomStream.ORDER, epoch)
            ).astype(np.int32)
            self._ends = np.cumsum(self.lengths[self._permutation] - 1)
            self._epoch = epoch

    def _row(self, epoch: int, step_in_epoch: int, row: int) -> list[Span]:
        row_end = min((row + 1) * self._row_tokens, self._num_inputs)
        start = row * self._row_tokens + step_in_epoch * self.excerpt_tokens
        stop = min(start + self.excerpt_tokens, row_end)
        spans = []
        while start < stop:
            index = int(np.searchsorted(self._ends, start, side="right"))
            begin = int(self._ends[index - 1]) if index else 0
            end = min(stop, int(self._ends[index]))
            spans.append(Span(int(self._permutation[index]), start - begin, end - begin, epoch))
            start = end
        return spans
