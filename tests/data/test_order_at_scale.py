"""The sample order for 4,096 ranks and 1,000,000 performances: exactly once, at a constant cost, in little memory.

Whole epochs are read with short performances, so that a million of them take seconds; single steps with long ones.
"""

import time
import tracemalloc
from itertools import chain
from statistics import median

import numpy as np
import pytest
from jaxtyping import Int

from pianogen.data.order import ExcerptOrder, Order, Spans, StreamOrder
from pianogen.train.trainer import rows_of_rank

RANKS = 4096
ROWS_A_RANK = 2
PERFORMANCES = 1_000_000
MAESTRO_LENGTHS = (457, 34_160)  # tokens of its shortest training performance; and so that the mean is its 17,308
BYTES_THAT_DO_NOT_GROW = 1 << 16
SAME_COST = 3.0  # ratio of medians on a noisy machine; a walk to the last of a million steps costs 100 and more

kinds = pytest.mark.parametrize("kind", [ExcerptOrder, StreamOrder])


def lengths_between(shortest: int, longest: int, count: int = PERFORMANCES) -> Int[np.ndarray, " P"]:
    return np.random.default_rng(0).integers(shortest, longest, count)


def spans_of_all_ranks(order: Order, step: int) -> Spans:
    return order.spans(step, range(RANKS * ROWS_A_RANK))


def times_read(order: Order, lengths: Int[np.ndarray, " P"]) -> Int[np.ndarray, " N"]:
    """How often each input of each performance comes in an epoch, all performances end to end."""
    begins = np.cumsum(lengths - 1) - (lengths - 1)
    changes = np.zeros(int((lengths - 1).sum()) + 1, np.int32)
    for step in range(order.steps_per_epoch):
        spans = spans_of_all_ranks(order, step)
        assert (spans.starts < spans.stops).all()
        assert (spans.stops < lengths[spans.performances]).all()
        np.add.at(changes, begins[spans.performances] + spans.starts, 1)
        np.add.at(changes, begins[spans.performances] + spans.stops, -1)
    return np.cumsum(changes)[:-1]


def test_4096_ranks_share_a_global_batch_exactly() -> None:
    shares = [rows_of_rank(RANKS * ROWS_A_RANK, rank, RANKS) for rank in range(RANKS)]
    assert list(chain.from_iterable(shares)) == list(range(RANKS * ROWS_A_RANK))


@pytest.mark.parametrize(("kind", "excerpt_tokens"), [(ExcerptOrder, 32), (StreamOrder, 256)])
def test_4096_ranks_read_every_input_of_a_million_performances_exactly_once(kind, excerpt_tokens: int) -> None:
    lengths = lengths_between(3, 40)
    order = kind(lengths, excerpt_tokens, RANKS * ROWS_A_RANK, seed=0)
    assert (times_read(order, lengths) == 1).all()


@kinds
def test_each_of_4096_ranks_reads_its_own_rows_of_a_step(kind) -> None:
    order = kind(lengths_between(*MAESTRO_LENGTHS), 256, RANKS * ROWS_A_RANK, seed=0)
    step = order.steps_per_epoch // 3
    shares = (rows_of_rank(RANKS * ROWS_A_RANK, rank, RANKS) for rank in range(RANKS))
    by_rank = [order.spans(step, rows) for rows in shares]
    together = spans_of_all_ranks(order, step)
    for name in ("performances", "starts", "stops"):
        assert np.array_equal(np.concatenate([getattr(one, name) for one in by_rank]), getattr(together, name))


@kinds
def test_no_excerpt_is_read_twice_in_distant_steps(kind) -> None:
    order = kind(lengths_between(*MAESTRO_LENGTHS), 256, RANKS * ROWS_A_RANK, seed=0)
    steps = (0, 1, order.steps_per_epoch // 3, order.steps_per_epoch - 2)
    spans = [spans_of_all_ranks(order, step) for step in steps]
    begins = [begin for one in spans for begin in zip(one.performances.tolist(), one.starts.tolist(), strict=True)]
    assert len(set(begins)) == len(begins) >= len(steps) * RANKS * ROWS_A_RANK


def cost_s(order: Order, first_step: int, rows: range) -> float:
    """CPU seconds that a rank takes for a step: the median of a hundred, once their epoch is laid out."""
    order.spans(first_step, rows)
    seconds = []
    for step in range(first_step, first_step + 100):
        start = time.thread_time()
        order.spans(step, rows)
        seconds.append(time.thread_time() - start)
    return median(seconds)


@kinds
def test_every_step_costs_the_same(kind) -> None:
    order = kind(lengths_between(*MAESTRO_LENGTHS), 256, 64, seed=0)
    places = [0, order.steps_per_epoch // 2, order.steps_per_epoch - 101]
    costs = [cost_s(order, epoch * order.steps_per_epoch + place, range(64)) for epoch in (0, 1000) for place in places]
    assert max(costs) < SAME_COST * min(costs)


@kinds
def test_a_step_costs_a_rank_the_same_among_4096_as_alone(kind) -> None:
    lengths, share = lengths_between(*MAESTRO_LENGTHS), 64
    alone = cost_s(kind(lengths, 256, share, seed=0), 100, rows_of_rank(share, 0, 1))
    last = rows_of_rank(share * RANKS, RANKS - 1, RANKS)
    assert cost_s(kind(lengths, 256, share * RANKS, seed=0), 100, last) < SAME_COST * alone


@kinds
def test_an_order_holds_at_most_16_bytes_a_performance(kind) -> None:
    tracemalloc.start()
    try:
        order = kind(lengths_between(*MAESTRO_LENGTHS), 256, RANKS * ROWS_A_RANK, seed=0)
        order.spans(order.steps_per_epoch // 2, range(RANKS * ROWS_A_RANK))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held <= 16 * PERFORMANCES + BYTES_THAT_DO_NOT_GROW
