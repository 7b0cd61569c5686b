"""Excerpts collated into the arrays that a model and its loss take."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int

from pianogen.data.order import ExcerptOrder, Order, Span, StreamOrder, permute
from pianogen.data.shard_set import Split
from pianogen.ops.masked_cross_entropy import IGNORE
from pianogen.randomness import RandomStream, stream_key
from pianogen.tokens.grammar import states_of
from pianogen.tokens.transpose import possible_shifts, transpose
from pianogen.tokens.vocab import PAD

_CACHED_PERFORMANCES = 256  # in a random order, where a row does not continue

Prepared = tuple[Int[np.ndarray, " T"], Int[np.ndarray, " T"]]
"""Tokens of a performance, transposed, and the grammar state in which each is chosen."""


@dataclass(frozen=True)
class Batch:
    """Some rows of one step. B rows, T inputs; a short row is padded with xxpad and IGNORE."""

    inputs: Int[np.ndarray, "B T"]
    targets: Int[np.ndarray, "B T"]
    states: Int[np.ndarray, "B T"]
    """Grammar state in which each target is chosen."""

    @property
    def num_targets(self) -> int:
        """Targets that count."""
        return int((self.targets != IGNORE).sum())


class Batches:
    """The training split in batches, optionally transposed at load.

    In a stream, each row keeps its current performance and position: 4 bytes per token, which for MAESTRO's mean
    performance of 17,308 tokens is 70 kB per row, 71 MB for 1,024 rows. In a random order the last 256 are cached.
    """

    def __init__(self, split: Split, order: Order, *, excerpt_tokens: int, transpose_seed: int | None) -> None:
        self._split = split
        self.order = order
        self._excerpt_tokens = excerpt_tokens
        self._transpose_seed = transpose_seed
        self._cached = lru_cache(_CACHED_PERFORMANCES)(self._prepare)
        self._cursors: dict[int, tuple[tuple[int, int], Prepared]] = {}

    @property
    def epoch_targets(self) -> int:
        """Targets that count in one epoch: all words but each performance's xxbos xxpad."""
        return int((self._split.lengths - 2).sum())

    def batch(self, step: int, rows: Sequence[int]) -> Batch:
        """Read rows `rows` of step `step`."""
        self._cursors = {row: self._cursors[row] for row in rows if row in self._cursors}  # others do not continue
        arrays = [self._row(row, spans) for row, spans in zip(rows, self.order.rows(step, rows), strict=True)]
        inputs, targets, states = (np.stack(column) for column in zip(*arrays, strict=True))
        return Batch(inputs, targets, states)

    def iterate(self, first_step: int, rows: Sequence[int]) -> Generator[Batch]:
        """Yield the batches of all steps without end; the next one is read in a thread meanwhile."""
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader:
            step, following = first_step, reader.submit(self.batch, first_step, rows)
            while True:
                batch, step = following.result(), step + 1
                following = reader.submit(self.batch, step, rows)
                yield batch

    def _row(self, row: int, spans: list[Span]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inputs = np.full(self._excerpt_tokens, PAD, np.int64)
        targets = np.full(self._excerpt_tokens, IGNORE, np.int64)
        states = np.zeros(self._excerpt_tokens, np.int64)
        filled = 0
        for span in spans:
            tokens, chosen_in = self._prepared(row, span.performance, span.epoch)
            end = filled + span.stop - span.start
            inputs[filled:end] = tokens[span.start : span.stop]
            targets[filled:end] = tokens[span.start + 1 : span.stop + 1]
            states[filled:end] = chosen_in[span.start + 1 : span.stop + 1]
            filled = end
        targets[targets == PAD] = IGNORE  # the pad after xxbos is not predicted
        return inputs, targets, states

    def _prepared(self, row: int, performance: int, epoch: int) -> Prepared:
        if not self.order.reads_on:
            return self._cached(performance, epoch)
        current, prepared = self._cursors.get(row, (None, None))
        if prepared is None or current != (performance, epoch):
            prepared = self._prepare(performance, epoch)
            self._cursors[row] = (performance, epoch), prepared
        return prepared

    def _prepare(self, performance: int, epoch: int) -> Prepared:
        tokens = self._split.tokens(performance)
        if self._transpose_seed is not None:
            tokens = transpose(tokens, shift_of(tokens, self._transpose_seed, epoch, performance))
        return tokens, states_of(tokens)


def shift_of(tokens: Int[np.ndarray, " T"], seed: int, epoch: int, performance: int) -> int:
    """Draw the transposition of a performance in an epoch, in semitones, from those that keep it on the keyboard."""
    lowest, highest = possible_shifts(tokens)
    return lowest + stream_key(seed, RandomStream.TRANSPOSITION, epoch, performance) % (highest - lowest + 1)


def chosen_performances(
    count: int, fraction: float, seed: int, stream: RandomStream = RandomStream.SUBSAMPLE
) -> Int[np.ndarray, " P"]:
    """Choose a fraction of the performances, at least one, in order; a larger fraction includes a smaller one."""
    wanted = max(1, round(count * fraction))
    return np.sort(permute(np.arange(wanted), count, stream_key(seed, stream)))


def training_batches(
    split: Split, *, order: str, excerpt_tokens: int, global_batch: int, seed: int, transposed: bool
) -> Batches:
    """Batches of a split in an order, which is `excerpts` or `stream`."""
    kind = ExcerptOrder if order == "excerpts" else StreamOrder
    sample_order = kind(split.lengths, excerpt_tokens, global_batch, seed)
    return Batches(split, sample_order, excerpt_tokens=excerpt_tokens, transpose_seed=seed if transposed else None)
