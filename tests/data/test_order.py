"""Laws of the sample order: exactly once per epoch, the same for any ranks, and the same cost at any step."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from spans import Span, spans_of_rows

from pianogen.data.order import ExcerptOrder, Order, StreamOrder, permute
from pianogen.randomness import RandomStream, stream_key

lengths_of = st.lists(st.integers(3, 60), min_size=1, max_size=12).map(np.array)
order_kinds = st.sampled_from([ExcerptOrder, StreamOrder])


def epoch_of(order: Order, global_batch: int, epoch: int = 0) -> list[Span]:
    steps = range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch)
    return [span for step in steps for spans in spans_of_rows(order, step, range(global_batch)) for span in spans]


@given(st.integers(1, 2000), st.integers(0, 2**32))
def test_permute_is_a_permutation(size: int, key: int) -> None:
    assert sorted(permute(np.arange(size), size, key).tolist()) == list(range(size))


def test_permutations_of_two_keys_differ() -> None:
    assert permute(np.arange(100), 100, 1).tolist() != permute(np.arange(100), 100, 2).tolist()


@given(st.integers(2, 60), st.integers(0, 2**32))
def test_permute_looks_up_one_index_as_it_does_all(size: int, key: int) -> None:
    whole = permute(np.arange(size), size, key)
    assert [int(permute(np.array([index]), size, key)[0]) for index in range(size)] == whole.tolist()


def test_permutation_moves_every_index_about_as_often_to_every_position() -> None:
    size, draws = 8, 4000
    first = [int(permute(np.array([0]), size, stream_key(seed, RandomStream.ORDER))[0]) for seed in range(draws)]
    expected = draws / size
    chi_square = sum((count - expected) ** 2 / expected for count in Counter(first).values())
    assert chi_square < 24.3  # 99.9 % quantile with 7 degrees of freedom


@given(order_kinds, lengths_of, st.integers(2, 16), st.integers(1, 6), st.integers(0, 3))
def test_every_input_is_read_exactly_once_per_epoch(
    kind, lengths, excerpt_tokens: int, global_batch: int, epoch: int
) -> None:
    order = kind(lengths, excerpt_tokens, global_batch, seed=7)
    seen = Counter(
        (span.performance, position)
        for span in epoch_of(order, global_batch, epoch)
        for position in range(span.start, span.stop)
    )
    assert seen == Counter((index, position) for index, n in enumerate(lengths) for position in range(n - 1))


@given(order_kinds, lengths_of, st.integers(2, 16), st.integers(1, 6))
def test_rows_never_exceed_the_excerpt(kind, lengths, excerpt_tokens: int, global_batch: int) -> None:
    order = kind(lengths, excerpt_tokens, global_batch, seed=7)
    rows = [row for step in range(2 * order.steps_per_epoch) for row in spans_of_rows(order, step, range(global_batch))]
    assert max(sum(span.stop - span.start for span in row) for row in rows) <= excerpt_tokens


@given(order_kinds, lengths_of, st.integers(2, 16), st.integers(1, 6), st.data())
def test_a_step_is_the_same_whether_or_not_those_before_it_were_asked_for(
    kind, lengths, excerpt_tokens: int, global_batch: int, data: st.DataObject
) -> None:
    walked = kind(lengths, excerpt_tokens, global_batch, seed=7)
    step = data.draw(st.integers(0, 4 * walked.steps_per_epoch))
    before = [spans_of_rows(walked, earlier, range(global_batch)) for earlier in range(step)]
    fresh = kind(lengths, excerpt_tokens, global_batch, seed=7)
    assert len(before) == step
    assert spans_of_rows(fresh, step, range(global_batch)) == spans_of_rows(walked, step, range(global_batch))


@given(order_kinds, lengths_of, st.integers(2, 16), st.integers(1, 6), st.data())
def test_a_row_reads_the_same_whichever_rows_are_asked_for_with_it(
    kind, lengths, excerpt_tokens: int, global_batch: int, data: st.DataObject
) -> None:
    order = kind(lengths, excerpt_tokens, global_batch, seed=7)
    step = data.draw(st.integers(0, 2 * order.steps_per_epoch))
    some = data.draw(st.lists(st.integers(0, global_batch - 1)))
    whole = spans_of_rows(order, step, range(global_batch))
    assert spans_of_rows(order, step, some) == [whole[row] for row in some]


@given(lengths_of, st.integers(2, 16), st.integers(1, 6))
def test_a_row_of_a_stream_continues_where_it_stopped(lengths, excerpt_tokens: int, global_batch: int) -> None:
    order = StreamOrder(lengths, excerpt_tokens, global_batch, seed=7)
    for row in range(global_batch):
        spans = [span for step in range(order.steps_per_epoch) for span in spans_of_rows(order, step, [row])[0]]
        for span, following in pairwise(spans):
            same_performance = following.performance == span.performance and following.start == span.stop
            next_performance = span.stop == lengths[span.performance] - 1 and following.start == 0
            assert same_performance or next_performance


def test_two_epochs_have_different_orders() -> None:
    order = ExcerptOrder(np.full(50, 40), 16, 4, seed=0)
    assert epoch_of(order, 4, 0) != [Span(s.performance, s.start, s.stop, 0) for s in epoch_of(order, 4, 1)]


def inputs_in_order(lengths, permutation) -> list[tuple[int, int]]:
    return [(int(index), position) for index in permutation for position in range(lengths[index] - 1)]


def inputs_of_rows(order: Order, step: int, rows: range) -> list[list[tuple[int, int]]]:
    return [
        [(span.performance, position) for span in spans for position in range(span.start, span.stop)]
        for spans in spans_of_rows(order, step, rows)
    ]


@given(lengths_of, st.integers(2, 16), st.integers(1, 6), st.data())
def test_a_stream_is_the_permuted_performances_cut_into_equal_rows(
    lengths, excerpt_tokens: int, global_batch: int, data: st.DataObject
) -> None:
    order = StreamOrder(lengths, excerpt_tokens, global_batch, seed=7)
    epoch, step = divmod(data.draw(st.integers(0, 3 * order.steps_per_epoch)), order.steps_per_epoch)
    permutation = permute(np.arange(len(lengths)), len(lengths), stream_key(7, RandomStream.ORDER, epoch))
    inputs = inputs_in_order(lengths, permutation)
    size = -(-len(inputs) // global_batch)
    rows = [inputs[begin : begin + size] for begin in range(0, global_batch * size, size)]
    cut = [row[step * excerpt_tokens : (step + 1) * excerpt_tokens] for row in rows]
    assert inputs_of_rows(order, epoch * order.steps_per_epoch + step, range(global_batch)) == cut


@given(lengths_of, st.integers(2, 16), st.integers(1, 6), st.data())
def test_excerpts_are_all_performances_cut_and_permuted(
    lengths, excerpt_tokens: int, global_batch: int, data: st.DataObject
) -> None:
    order = ExcerptOrder(lengths, excerpt_tokens, global_batch, seed=7)
    epoch, step = divmod(data.draw(st.integers(0, 3 * order.steps_per_epoch)), order.steps_per_epoch)
    excerpts = [
        inputs_in_order(lengths, [index])[begin : begin + excerpt_tokens]
        for index, length in enumerate(lengths)
        for begin in range(0, length - 1, excerpt_tokens)
    ]
    permutation = permute(np.arange(len(excerpts)), len(excerpts), stream_key(7, RandomStream.ORDER, epoch))
    chosen = [excerpts[index] for index in permutation[step * global_batch : (step + 1) * global_batch]]
    rest = [[] for _ in range(global_batch - len(chosen))]
    assert inputs_of_rows(order, epoch * order.steps_per_epoch + step, range(global_batch)) == chosen + rest
