"""Excerpts collated into the arrays that a model and its loss take."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int8, Int16

from pianogen.data.order import ExcerptOrder, Order, StreamOrder, permute
from pianogen.data.reading import Reader
from pianogen.data.shard_set import Split
from pianogen.ops.masked_cross_entropy import IGNORE
from pianogen.randomness import RandomStream, stream_key, stream_keys
from pianogen.tokens.grammar import states_after
from pianogen.tokens.transpose import shift_notes
from pianogen.tokens.vocab import PAD

_BLOCK_ROWS = 256  # so that what is computed for a block stays in the processor's cache


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
    """The training split in batches, optionally transposed at load; `pianogen.data.reading` says what it keeps."""

    def __init__(self, split: Split, order: Order, *, excerpt_tokens: int, transpose_seed: int | None) -> None:
        self.order = order
        self._lengths = split.lengths
        self._excerpt_tokens = excerpt_tokens
        self._transpose_seed = transpose_seed
        self._reader = Reader(split, reads_on=order.reads_on)

    @property
    def epoch_targets(self) -> int:
        """Targets that count in one epoch: all words but each performance's xxbos xxpad."""
        return int((self._lengths - 2).sum())

    def batch(self, step: int, rows: Sequence[int]) -> Batch:
        """Read rows `rows` of step `step`."""
        self._reader.drop_all_but(rows)
        batch = Batch(*np.empty((3, len(rows), self._excerpt_tokens), np.int64))
        for first in range(0, len(rows), _BLOCK_ROWS):
            block = slice(first, first + _BLOCK_ROWS)
            self._fill(Batch(batch.inputs[block], batch.targets[block], batch.states[block]), step, rows[block])
        return batch

    def _fill(self, block: Batch, step: int, rows: Sequence[int]) -> None:
        spans = self.order.spans(step, rows)
        pieces = self._reader.pieces(spans, np.asarray(rows)[spans.rows])
        words = np.concatenate([*pieces, np.empty(0, np.int16)])  # there are no pieces where the last batch is short
        num_inputs = spans.stops - spans.starts
        begins_within = spans.starts > 0
        lengths = begins_within + num_inputs + 1
        if self._transpose_seed is not None:
            possible = self._reader.shifts[spans.performances]
            shifts = shifts_of(possible, self._transpose_seed, spans.epoch, spans.performances)
            words = shift_notes(words, np.repeat(shifts, lengths))
        ends = np.cumsum(lengths)
        is_input = np.ones(len(words), np.bool_)
        is_input[ends - 1] = False
        is_input[(ends - lengths)[begins_within]] = False
        targets = words[np.roll(is_input, 1)]
        filled = np.arange(self._excerpt_tokens) < np.bincount(spans.rows, num_inputs, len(rows))[:, None]
        _lay_out(words[is_input], filled, block.inputs, PAD)
        # the pad after xxbos is not predicted
        _lay_out(np.where(targets == PAD, IGNORE, targets), filled, block.targets, IGNORE)
        _lay_out(states_after(np.roll(words, 1), words)[is_input], filled, block.states, 0)

    def iterate(self, first_step: int, rows: Sequence[int]) -> Generator[Batch]:
        """Yield the batches of all steps without end; the next one is read in a thread meanwhile."""
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader:
            step, following = first_step, reader.submit(self.batch, first_step, rows)
            while True:
                batch, step = following.result(), step + 1
                following = reader.submit(self.batch, step, rows)
                yield batch


def _lay_out(
    values: Int16[np.ndarray, " N"], filled: Bool[np.ndarray, "B T"], table: Int[np.ndarray, "B T"], padding: int
) -> None:
    """Fill a table row by row with values where it is `filled`."""
    if filled.all():
        table[:] = values.reshape(filled.shape)
    else:
        table[:] = padding
        table[filled] = values


def shifts_of(
    possible: Int8[np.ndarray, "N 2"], seed: int, epoch: int, performances: Int[np.ndarray, " N"]
) -> Int16[np.ndarray, " N"]:
    """Draw the transpositions of performances in an epoch, in semitones, from the lowest to the highest possible."""
    lowest, highest = possible.astype(np.int16).T
    keys = stream_keys(seed, RandomStream.TRANSPOSITION, epoch, performances)
    return lowest + (keys % (highest - lowest + 1).astype(np.uint64)).astype(np.int16)


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
