"""Tokens that one rank reads in a second of processor time.

Batches are transposed, 256 tokens a row, with targets and grammar states. A thread reads the next one while the model
computes, so it needs not more than a core.
"""

import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import chain, count, repeat
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, IterableDataset
from webdataset.compat import WebDataset

from benchmarks.speed.measure import Contender, Row, ratios, seconds_in_turn
from benchmarks.speed.synthetic_shards import write_shards
from pianogen.data import Batches, Split, open_shards, training_batches
from pianogen.ops.masked_cross_entropy import IGNORE
from pianogen.tokens.grammar import states_of
from pianogen.tokens.transpose import possible_shifts, transpose
from pianogen.tokens.vocab import PAD

EXCERPT_TOKENS, PERFORMANCES = 256, 1500
NUMBERS_OF_ROWS = (64, 256, 1024, 4096)
NEED = 10e6  # tokens/s; at the pace that is published for cuDNN's LSTM, an H100 would read 3 to 12 million
_TOKENS_A_ROUND = 1 << 20


class PlainStream(IterableDataset):
    """What one would write around webdataset: each row reads performances one after another, randomly transposed."""

    def __init__(self, shards: list[str], rows: int) -> None:
        read: Iterable[dict[str, bytes]] = WebDataset(shards, shardshuffle=100).shuffle(100)  # type: ignore[assignment]
        self._performances = chain.from_iterable(repeat(read))
        self._rows = rows
        self._random = np.random.Generator(np.random.Philox(0))

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        rows = [self._row() for _ in range(self._rows)]
        while True:
            excerpts = np.stack([next(row) for row in rows]).astype(np.int64)
            yield tuple(excerpts.swapaxes(0, 1))

    def _row(self) -> Iterator[np.ndarray]:
        rest = np.empty((3, 0), np.int16)  # inputs, targets and states
        while True:
            while rest.shape[1] < EXCERPT_TOKENS:
                rest = np.concatenate([rest, self._performance()], axis=1)
            yield rest[:, :EXCERPT_TOKENS]
            rest = rest[:, EXCERPT_TOKENS:]

    def _performance(self) -> np.ndarray:
        tokens = np.frombuffer(next(self._performances)["i16"], "<i2")
        lowest, highest = possible_shifts(tokens)
        tokens = transpose(tokens, int(self._random.integers(lowest, highest + 1)))
        return np.stack([tokens[:-1], np.where(tokens[1:] == PAD, IGNORE, tokens[1:]), states_of(tokens)[1:]])


def batches_of(split: Split, order: str, rows: int) -> Batches:
    """Batches of all performances, transposed."""
    return training_batches(
        split, order=order, excerpt_tokens=EXCERPT_TOKENS, global_batch=rows, seed=0, transposed=True
    )


def peak_mb(split: Split, order: str, rows: int) -> float:
    """Memory of a reader and three batches, of which two are held while the next one is made."""
    tracemalloc.start()
    batches = batches_of(split, order, rows)
    held = [batches.batch(step, range(rows)) for step in range(2)]
    batches.batch(len(held), range(rows))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def measure(rounds: int = 5) -> list[Row]:
    """Both orders for each number of rows."""
    with tempfile.TemporaryDirectory() as folder:
        write_shards(Path(folder), PERFORMANCES)
        split = open_shards(folder).split("train")
        for index in range(len(split)):
            split.tokens(index)  # later reads are not checked
        shards = sorted(map(str, Path(folder).glob("*.tar")))
        return [
            row
            for order in ("stream", "excerpts")
            for rows in NUMBERS_OF_ROWS
            for row in _rows(split, shards, order, rows, rounds)
        ]


def _rows(split: Split, shards: list[str], order: str, rows: int, rounds: int) -> list[Row]:
    num_steps = max(1, _TOKENS_A_ROUND // (rows * EXCERPT_TOKENS))
    batches, steps = batches_of(split, order, rows), count()
    plain = iter(DataLoader(PlainStream(shards, rows), batch_size=None))
    arrays = np.zeros((3, rows, EXCERPT_TOKENS + 1), np.int16)

    def ours() -> None:
        for _ in range(num_steps):
            batches.batch(next(steps), range(rows))

    def other() -> None:
        for _ in range(num_steps):
            next(plain)

    def copies() -> None:
        for _ in range(num_steps):
            arrays[:, :, 1:].astype(np.int64)

    contenders: dict[str, Contender] = {"ours": ours, "limit": copies}
    if order == "stream":
        contenders["other"] = other
    seconds = seconds_in_turn(contenders, rounds, time.process_time)
    num_tokens = num_steps * rows * EXCERPT_TOKENS
    needed = [num_tokens / NEED] * rounds

    def speed(name: str) -> float | None:
        return 1e-6 * num_tokens / statistics.median(seconds[name]) if name in seconds else None

    memory = peak_mb(split, order, rows)
    name = f"{order}, {rows:,} rows"
    own, limit = speed("ours") or 0.0, speed("limit")
    found = [Row(name, "Mtok/s", own, NEED / 1e6, limit, "need", *ratios(needed, seconds["ours"]), 1.0, memory)]
    if order == "stream":
        against = ratios(seconds["other"], seconds["ours"])
        found.append(Row(name, "Mtok/s", own, speed("other"), limit, "webdataset + DataLoader", *against))
    return found
