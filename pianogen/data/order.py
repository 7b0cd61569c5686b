"""The order of the excerpts: a pure function of (seed, epoch, step, global batch).

It does not depend on ranks: a rank takes some rows of a step, so any number of ranks that divides the global batch
reads the same order, and resuming needs only the step. It keeps at most 16 bytes per performance. Every step costs the
same, except the first of a stream in an epoch, which permutes the performances.

A performance of n tokens gives n - 1 inputs, the words before the last; the target of an input is the word after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Int, UInt64

from pianogen.randomness import RandomStream, mix, stream_key

_ROUNDS = 6


class Spans(NamedTuple):
    """What some rows of a step read, in the order of the rows and in time order. N spans.

    Span n is inputs `starts[n]` up to `stops[n]` of a performance; a row may have several, or none where the last batch
    is short.
    """

    epoch: int
    rows: Int[np.ndarray, " N"]
    """Indices in the rows that were asked for."""
    performances: Int[np.ndarray, " N"]
    starts: Int[np.ndarray, " N"]
    stops: Int[np.ndarray, " N"]


class Order(Protocol):
    """The interface of an order."""

    steps_per_epoch: int
    reads_on: bool
    """Whether a row of a step continues where the same row of the step before ended."""

    def spans(self, step: int, rows: Sequence[int]) -> Spans:
        """What these rows of step `step` read."""
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

    def spans(self, step: int, rows: Sequence[int]) -> Spans:
        """See `Order.spans`."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        positions = step_in_epoch * self.global_batch + np.asarray(rows, np.int64)
        (exists,) = np.nonzero(positions < self.num_excerpts)
        key = stream_key(self.seed, RandomStream.ORDER, epoch)
        excerpts = permute(positions[exists], self.num_excerpts, key)
        performances = np.searchsorted(self._ends, excerpts, side="right")
        lengths = self.lengths[performances]
        left = self._ends[performances] - excerpts  # remaining excerpts of the performance, with this one
        starts = (self._num_excerpts_of(lengths) - left) * self.excerpt_tokens
        return Spans(epoch, exists, performances, starts, np.minimum(starts + self.excerpt_tokens, lengths - 1))

    def begins_afresh(self, step: int) -> bool:
        """See `Order.begins_afresh`."""
        return True

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

    def spans(self, step: int, rows: Sequence[int]) -> Spans:
        """See `Order.spans`."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        self._start_epoch(epoch)
        row_starts = np.asarray(rows, np.int64) * self._row_tokens
        row_ends = np.minimum(row_starts + self._row_tokens, self._num_inputs)
        starts = row_starts + step_in_epoch * self.excerpt_tokens
        stops = np.minimum(starts + self.excerpt_tokens, row_ends)
        (exists,) = np.nonzero(starts < stops)
        first = np.searchsorted(self._ends, starts[exists], side="right")
        counts = np.searchsorted(self._ends, stops[exists], side="left") + 1 - first
        places = np.repeat(first + counts - np.cumsum(counts), counts) + np.arange(counts.sum())
        row = np.repeat(exists, counts)
        performances, ends = self._permutation[places], self._ends[places]
        begins = ends - (self.lengths[performances] - 1)
        return Spans(
            epoch, row, performances, np.maximum(starts[row], begins) - begins, np.minimum(stops[row], ends) - begins
        )

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
