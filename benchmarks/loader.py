"""Speed at which a rank reads a stream, with a cursor per row and with a cache of 256 performances:
`python benchmarks/loader.py`.

Both read the same steps in turn, and processor time is counted, because the machine may be shared. Performances have
MAESTRO's mean length and are in memory: measured are transposing, finding grammar states and cutting rows.
"""

import argparse
import time
from collections.abc import Sequence
from typing import cast

import numpy as np
from jaxtyping import Int16

from pianogen.data import Batches, Split, training_batches
from pianogen.tokens.vocab import BOS, EOS, FIRST_DURATION, FIRST_NOTE, PAD

MEAN_TOKENS = 17_308  # of a MAESTRO training performance
NUM_PERFORMANCES = 1500


class InMemory:
    """A split whose performances are all the same random walk over the middle of the keyboard."""

    def __init__(self, count: int, num_tokens: int) -> None:
        notes = (
            FIRST_NOTE + 60 + np.cumsum(np.random.Generator(np.random.Philox(0)).integers(-2, 3, num_tokens // 2)) % 24
        )
        pairs = np.stack([notes, np.full(len(notes), FIRST_DURATION + 2)], axis=1).ravel()
        self._tokens = np.array([BOS, PAD, *pairs.tolist(), EOS], np.int16)
        self.lengths = np.full(count, len(self._tokens))

    def tokens(self, index: int) -> Int16[np.ndarray, " T"]:
        """A copy of the tokens."""
        return self._tokens.copy()


def batches_of(split: InMemory, rows: int, excerpt_tokens: int) -> Batches:
    """A stream of all performances, transposed."""
    return training_batches(
        cast("Split", split),
        order="stream",
        excerpt_tokens=excerpt_tokens,
        global_batch=rows,
        seed=0,
        transposed=True,
    )


def tokens_per_s(readers: Sequence[Batches], rows: int, num_steps: int) -> list[float]:
    """Targets read in a second of processor time by each reader; they take turns, step by step."""
    for reader in readers:
        reader.batch(0, range(rows))  # fills cursors and cache
    num_targets, seconds = 0, [0.0] * len(readers)
    for step in range(1, num_steps + 1):
        for number, reader in enumerate(readers):
            begin = time.process_time()
            batch = reader.batch(step, range(rows))
            seconds[number] += time.process_time() - begin
            num_targets += batch.num_targets if number == 0 else 0
    return [num_targets / spent for spent in seconds]


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 240, 256, 1024])
    parser.add_argument("--steps", type=int, default=8, help="after one that is not counted")
    parser.add_argument("--excerpt", type=int, default=256)
    sizes = parser.parse_args()
    split = InMemory(NUM_PERFORMANCES, MEAN_TOKENS)
    print("rows per rank   cursors, tokens/s   cache of 256, tokens/s   ratio")
    for rows in sizes.rows:
        with_cursors, with_cache = (batches_of(split, rows, sizes.excerpt) for _ in range(2))
        with_cache.order.reads_on = False  # as for a random order
        speeds = tokens_per_s([with_cursors, with_cache], rows, sizes.steps)
        print(f"{rows:13}   {speeds[0]:17,.0f}   {speeds[1]:22,.0f}   {speeds[0] / speeds[1]:5.1f}")


if __name__ == "__main__":
    main()
