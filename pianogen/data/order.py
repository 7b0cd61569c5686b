"""Which excerpt comes when: a pure function of (seed, epoch, step, global batch).

It knows nothing of ranks: a rank takes some rows of a step, so any number of ranks that divides the global batch sees
the same order, and resuming is a matter of naming the step. At most 16 bytes a performance are held, and a step costs
the same wherever it lies.

A performance of n tokens gives n - 1 inputs, the words before the last; the target of an input is the word after it.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np
from jaxtyping import Int, UInt64

_ROUNDS = 6


@dataclass(frozen=True)
class Span:
    """Inputs `start` up to `stop` of one performance in one epoch."""

    performance: int
    start: int
    stop: int
    epoch: int


class Order(Protocol):
    """What a trainer asks of an order."""

    steps_per_epoch: int

    def row(self, step: int, row: int) -> list[Span]:
        """What row `row` of step `step` reads, in time order; no span where the last batch is short."""
        ...

    def begins_afresh(self, step: int) -> bool:
        """Whether every row of this step starts from a zero state."""
        ...


def mix(values: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """Scatter 64-bit integers, one to one (the finaliser of splitmix64).

    Reference: Steele, Lea & Flood (2014), Fast Splittable Pseudorandom Number Generators.
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def key_of(*parts: int) -> int:
    """Fold integers into one 64-bit key that changes wholly with each of them."""
    key = np.zeros(1, np.uint64)
    for part in parts:
        key = mix(key + np.uint64(0x9E3779B97F4A7C15) + mix(np.array([part & (2**64 - 1)], np.uint64)))
    return int(key[0])


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
    return tuple(np.uint64(key_of(key, number)) for number in range(_ROUNDS))


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
    _ends: Int[np.ndarray, " P"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._ends = np.cumsum(-(-(self.lengths - 1) // self.excerpt_tokens))
        self.num_excerpts = int(self._ends[-1])
        self.steps_per_epoch = -(-self.num_excerpts // self.global_batch)

    def row(self, step: int, row: int) -> list[Span]:
        """See `Order.row`."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        place = step_in_epoch * self.global_batch + row
        if place >= self.num_excerpts:
            return []
        excerpt = int(permute(np.array([place]), self.num_excerpts, key_of(self.seed, epoch))[0])
        performance = int(np.searchsorted(self._ends, excerpt, side="right"))
        first = int(self._ends[performance - 1]) if performance else 0
        start = (excerpt - first) * self.excerpt_tokens
        stop = min(start + self.excerpt_tokens, int(self.lengths[performance]) - 1)
        return [Span(performance, start, stop, epoch)]

    def begins_afresh(self, step: int) -> bool:
        """See `Order.begins_afresh`."""
        return True


@dataclass
class StreamOrder:
    """Permuted performances laid end to end and cut into as many lanes as the global batch; state is carried."""

    lengths: Int[np.ndarray, " P"]  # tokens of each performance
    excerpt_tokens: int
    global_batch: int
    seed: int
    _epoch: int = field(default=-1, init=False, repr=False)

    def __post_init__(self) -> None:
        self._num_inputs = int((self.lengths - 1).sum())
        self._lane_tokens = -(-self._num_inputs // self.global_batch)
        self.steps_per_epoch = -(-self._lane_tokens // self.excerpt_tokens)

    def row(self, step: int, row: int) -> list[Span]:
        """See `Order.row`."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        self._lay_out(epoch)
        lane_end = min((row + 1) * self._lane_tokens, self._num_inputs)
        start = row * self._lane_tokens + step_in_epoch * self.excerpt_tokens
        stop = min(start + self.excerpt_tokens, lane_end)
        return self._spans(start, stop, epoch)

    def begins_afresh(self, step: int) -> bool:
        """See `Order.begins_afresh`."""
        return step % self.steps_per_epoch == 0

    def _lay_out(self, epoch: int) -> None:
        if epoch != self._epoch:
            count = len(self.lengths)
            self._permutation = permute(np.arange(count), count, key_of(self.seed, epoch)).astype(np.int32)
            self._ends = np.cumsum(self.lengths[self._permutation] - 1)
            self._epoch = epoch

    def _spans(self, start: int, stop: int, epoch: int) -> list[Span]:
        spans = []
        while start < stop:
            place = int(np.searchsorted(self._ends, start, side="right"))
            begin = int(self._ends[place - 1]) if place else 0
            end = min(stop, int(self._ends[place]))
            spans.append(Span(int(self._permutation[place]), start - begin, end - begin, epoch))
            start = end
        return spans
