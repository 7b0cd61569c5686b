"""Which excerpt comes when: a pure function of (seed, epoch, step, global batch).

It knows nothing of ranks: a rank takes some rows of a step, so any number of ranks that divides the global batch sees
the same order, and resuming is a matter of naming the step. At most 16 bytes a performance are held, and a step costs
the same wherever it lies, but for a stream's first step in an epoch, which lays the performances out.

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
    """What a trainer asks of an order."""

    steps_per_epoch: int
    reads_on: bool
    """Whether a row of a step goes on where the same row of the step before ended."""

    def rows(self, step: int, rows: Sequence[int]) -> list[list[Span]]:
        """What each of these rows of step `step` reads, in time order; no span where the last batch is short."""
        ...

    def begins_afresh(self, step: int) -> bool:
        """Whether every row of this step starts from a zero state."""
        ...


def permute(indices: Int[np.ndarray, " N"], size: int, key: int) -> Int[np.ndarray, " N"]:
    """Look indices up in a random permutation of 0..size-1 that is never written down.

    A Feistel network permutes the next power of four; what falls outside is sent through again (cycle walking).

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
    """Every excerpt once an epoch in random order, each from a zero state."""

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
        """See `Order.rows`; all of them are looked up at once, for one costs hardly less than a hundred."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        places = step_in_epoch * self.global_batch + np.asarray(rows, np.int64)
        there = places < self.num_excerpts
        spans = self._spans(places[there], epoch)
        return [[next(spans)] if is_there else [] for is_there in there.tolist()]

    def begins_afresh(self, step: int) -> bool:
        """See `Order.begins_afresh`."""
        return True

    def _spans(self, places: Int[np.ndarray, " N"], epoch: int) -> Iterator[Span]:
        excerpts = permute(places, self.num_excerpts, stream_key(self.seed, RandomStream.ORDER, epoch))
        performances = np.searchsorted(self._ends, excerpts, side="right")
        lengths = self.lengths[performances]
        left = self._ends[performances] - excerpts  # excerpts of the performance, this one and those behind it
        starts = (self._num_excerpts_of(lengths) - left) * self.excerpt_tokens
        stops = np.minimum(starts + self.excerpt_tokens, lengths - 1)
        for performance, start, stop in zip(performances.tolist(), starts.tolist(), stops.tolist(), strict=True):
            yield Span(performance, start, stop, epoch)

    def _num_excerpts_of(self, lengths: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
        return -(-(lengths - 1) // self.excerpt_tokens)


@dataclass
class StreamOrder:
    """Permuted performances laid end to end and cut into as many lanes as the global batch; state is carried."""

    lengths: Int[np.ndarray, " P"]  # tokens of each performance
    excerpt_tokens: int
    global_batch: int
    seed: int
    reads_on: bool = field(default=True, init=False, repr=False)
    _epoch: int = field(default=-1, init=False, repr=False)

    def __post_init__(self) -> None:
        self.lengths = self.lengths.astype(np.int32, copy=False)
        self._num_inputs = int((self.lengths - 1).sum())
        self._lane_tokens = -(-self._num_inputs // self.global_batch)
        self.steps_per_epoch = -(-self._lane_tokens // self.excerpt_tokens)

    def rows(self, step: int, rows: Sequence[int]) -> list[list[Span]]:
        """See `Order.rows`."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        self._lay_out(epoch)
        return [self._row(epoch, step_in_epoch, row) for row in rows]

    def begins_afresh(self, step: int) -> bool:
        """See `Order.begins_afresh`."""
        return step % self.steps_per_epoch == 0

    def _lay_out(self, epoch: int) -> None:
        if epoch != self._epoch:
            count = len(self.lengths)
            self._permutation = permute(
                np.arange(count), count, stream_key(self.seed, RandomStream.ORDER, epoch)
            ).astype(np.int32)
            self._ends = np.cumsum(self.lengths[self._permutation] - 1)
            self._epoch = epoch

    def _row(self, epoch: int, step_in_epoch: int, row: int) -> list[Span]:
        lane_end = min((row + 1) * self._lane_tokens, self._num_inputs)
        start = row * self._lane_tokens + step_in_epoch * self.excerpt_tokens
        stop = min(start + self.excerpt_tokens, lane_end)
        spans = []
        while start < stop:
            place = int(np.searchsorted(self._ends, start, side="right"))
            begin = int(self._ends[place - 1]) if place else 0
            end = min(stop, int(self._ends[place]))
            spans.append(Span(int(self._permutation[place]), start - begin, end - begin, epoch))
            start = end
        return spans
