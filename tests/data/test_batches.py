"""Batches: their content depends on the performances and the order, not on the rank."""

import gc
import tracemalloc
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spans import spans_of_rows

from pianogen.data import Batches, Split, chosen_performances, open_shards, training_batches
from pianogen.data.batches import shifts_of
from pianogen.data.order import Order
from pianogen.data.reading import READ_AHEAD_TOKENS
from pianogen.ops.masked_cross_entropy import IGNORE
from pianogen.randomness import RandomStream, stream_key
from pianogen.tokens.grammar import allowed, legal, states_of
from pianogen.tokens.transpose import possible_shifts, transpose
from pianogen.tokens.vocab import BOS, EOS, PAD

ROWS = range(4)


def shift_of(tokens: np.ndarray, seed: int, epoch: int, performance: int) -> int:
    possible = np.array([possible_shifts(tokens)], np.int8)
    return int(shifts_of(possible, seed, epoch, np.array([performance]))[0])


def batches_of(tiny_shards: Path, order: str = "stream", *, transposed: bool = False) -> Batches:
    split = open_shards(tiny_shards).split("train")
    return training_batches(split, order=order, excerpt_tokens=16, global_batch=4, seed=3, transposed=transposed)


@pytest.mark.parametrize("order", ["stream", "excerpts"])
def test_an_epoch_has_every_word_but_the_first_two_as_a_target_once(tiny_shards: Path, order: str) -> None:
    batches, split = batches_of(tiny_shards, order), open_shards(tiny_shards).split("train")
    epoch = [batches.batch(step, ROWS).targets for step in range(batches.order.steps_per_epoch)]
    seen = np.bincount(np.concatenate([targets[targets != IGNORE] for targets in epoch]), minlength=312)
    words = np.bincount(np.concatenate([split.tokens(index)[2:] for index in range(len(split))]), minlength=312)
    assert seen.tolist() == words.tolist()


def test_epoch_targets_counts_them(tiny_shards: Path) -> None:
    batches = batches_of(tiny_shards)
    assert batches.epoch_targets == sum(
        batches.batch(step, ROWS).num_targets for step in range(batches.order.steps_per_epoch)
    )


@pytest.mark.parametrize("order", ["stream", "excerpts"])
def test_every_target_is_allowed_in_its_state(tiny_shards: Path, order: str) -> None:
    batches = batches_of(tiny_shards, order, transposed=True)
    for step in range(3 * batches.order.steps_per_epoch):
        batch = batches.batch(step, ROWS)
        counts = batch.targets != IGNORE
        assert allowed("strict")[batch.states[counts], batch.targets[counts]].all()


def test_a_target_is_the_input_that_follows(tiny_shards: Path) -> None:
    batches = batches_of(tiny_shards)
    lane = [batches.batch(step, ROWS) for step in range(batches.order.steps_per_epoch)]
    inputs = np.concatenate([batch.inputs for batch in lane], axis=1)[:, 1:]
    targets = np.concatenate([batch.targets for batch in lane], axis=1)[:, :-1]
    follows = (targets != IGNORE) & (targets != EOS) & (inputs != PAD)
    assert (inputs[follows] == targets[follows]).all()


def test_neither_the_pad_after_xxbos_nor_padding_is_a_target(tiny_shards: Path) -> None:
    batches = batches_of(tiny_shards)
    for step in range(batches.order.steps_per_epoch):
        batch = batches.batch(step, ROWS)
        assert not np.isin(batch.targets, [BOS, PAD]).any()
        assert (batch.targets[batch.inputs == BOS] == IGNORE).all()


def row_by_row(split: Split, order: Order, step: int, width: int, *, transposed: bool) -> list[np.ndarray]:
    """Inputs, targets and states of a step, from whole performances that are transposed and scanned one by one."""
    arrays = [np.full((len(ROWS), width), padding) for padding in (PAD, IGNORE, 0)]
    for row, spans in enumerate(spans_of_rows(order, step, ROWS)):
        column = 0
        for performance, start, stop, epoch in spans:
            tokens = split.tokens(performance)
            if transposed:
                lowest, highest = possible_shifts(tokens)
                key = stream_key(3, RandomStream.TRANSPOSITION, epoch, performance)
                tokens = transpose(tokens, lowest + key % (highest - lowest + 1))
            targets = np.where(tokens == PAD, IGNORE, tokens)
            place = slice(column, column + stop - start)
            arrays[0][row, place] = tokens[start:stop]
            arrays[1][row, place] = targets[start + 1 : stop + 1]
            arrays[2][row, place] = states_of(tokens)[start + 1 : stop + 1]
            column = place.stop
    return arrays


@settings(max_examples=40)
@given(st.sampled_from(["stream", "excerpts"]), st.sampled_from([2, 3, 16, 400]), st.booleans(), st.integers(0, 10**4))
def test_a_batch_is_what_its_spans_say(tiny_shards: Path, name: str, width: int, transposed: bool, step: int) -> None:
    split = open_shards(tiny_shards, verify=False).split("train")
    batches = training_batches(split, order=name, excerpt_tokens=width, global_batch=4, seed=3, transposed=transposed)
    for one in (step, step + 1):
        batch = batches.batch(one, ROWS)
        expected = row_by_row(split, batches.order, one, width, transposed=transposed)
        assert all(map(np.array_equal, (batch.inputs, batch.targets, batch.states), expected))


@pytest.mark.parametrize("order", ["stream", "excerpts"])
def test_a_rank_without_rows_in_a_short_last_step_gets_padding(tiny_shards: Path, order: str) -> None:
    split = open_shards(tiny_shards).split("train").subset([0])
    batches = training_batches(split, order=order, excerpt_tokens=256, global_batch=512, seed=3, transposed=True)
    batch = batches.batch(0, range(510, 512))
    assert (batch.num_targets, batch.inputs.shape, set(batch.inputs.ravel())) == (0, (2, 256), {PAD})


def test_a_rank_reads_its_rows_of_the_same_batch(tiny_shards: Path) -> None:
    whole, half = batches_of(tiny_shards, transposed=True), batches_of(tiny_shards, transposed=True)
    assert np.array_equal(half.batch(5, range(2, 4)).inputs, whole.batch(5, ROWS).inputs[2:])


def test_iterating_from_a_step_gives_that_step(tiny_shards: Path) -> None:
    batches = batches_of(tiny_shards)
    steps = batches.iterate(7, ROWS)
    assert np.array_equal(next(steps).inputs, batches.batch(7, ROWS).inputs)
    assert np.array_equal(next(steps).inputs, batches.batch(8, ROWS).inputs)
    steps.close()


@given(st.integers(0, 2**31), st.integers(0, 50), st.integers(0, 1000))
def test_a_transposition_stays_on_the_keyboard(seed: int, epoch: int, performance: int) -> None:
    tokens = np.array([0, 1, 9 + 107, 138, 9 + 24, 138, 2], np.int16)  # B7 over C1
    lowest, highest = possible_shifts(tokens)
    shift = shift_of(tokens, seed, epoch, performance)
    assert lowest <= shift <= highest
    assert legal(transpose(tokens, shift), "strict")


def test_transpositions_of_a_performance_change_from_epoch_to_epoch() -> None:
    tokens = np.array([0, 1, 9 + 60, 138, 2], np.int16)
    shifts = [shift_of(tokens, 0, epoch, 0) for epoch in range(500)]
    assert sorted(set(shifts)) == list(range(-6, 6))


@given(st.integers(1, 200), st.floats(0.01, 1), st.integers(0, 2**31))
def test_a_fraction_has_that_size_and_is_part_of_a_larger_one(count: int, fraction: float, seed: int) -> None:
    chosen = chosen_performances(count, fraction, seed)
    assert len(set(chosen.tolist())) == max(1, round(count * fraction))
    assert set(chosen.tolist()) <= set(chosen_performances(count, min(1.0, 2 * fraction), seed).tolist())


class Counted:
    """A split of made-up performances that counts how often one is read."""

    def __init__(self, count: int, num_notes: int = 20) -> None:
        self.ids = np.array([BOS, PAD, *[9 + 60, 138] * num_notes, EOS], np.int16)
        self.lengths = np.full(count, len(self.ids))
        self.reads = 0

    def tokens(self, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        self.reads += 1
        return self.ids[start:stop].copy()


def many_rows(split: Counted, rows: int, excerpt_tokens: int = 4) -> Batches:
    return training_batches(
        cast("Split", split),
        order="stream",
        excerpt_tokens=excerpt_tokens,
        global_batch=rows,
        seed=3,
        transposed=False,
    )


@pytest.mark.parametrize("rows", [64, 300])
def test_a_row_of_a_stream_reads_each_of_its_performances_once(rows: int) -> None:
    split = Counted(900)
    batches = many_rows(split, rows)
    for step in range(batches.order.steps_per_epoch):
        batches.batch(step, range(rows))
    assert split.reads <= 900 + rows  # lanes end within a performance


def test_a_row_of_a_stream_keeps_little_of_a_long_performance_and_nothing_once_it_is_not_read() -> None:
    split = Counted(20, num_notes=50_000)
    batches, held = many_rows(split, 20), []
    batches.batch(0, range(1))
    tracemalloc.start()
    try:
        for rows in (range(20), range(10), range(10, 11)):
            batches.batch(1, rows)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    kept = [2 * READ_AHEAD_TOKENS * rows for rows in (20, 10, 1)]
    assert all(bytes_held < most + 8192 for bytes_held, most in zip(held, kept, strict=True))


def test_continuing_and_jumping_give_the_same_rows(tiny_shards: Path) -> None:
    going, jumping = batches_of(tiny_shards, transposed=True), batches_of(tiny_shards, transposed=True)
    steps = range(2 * going.order.steps_per_epoch)
    read_on = [going.batch(step, ROWS).inputs for step in steps]
    jumped = {step: jumping.batch(step, ROWS).inputs for step in reversed(steps)}
    assert all(np.array_equal(read_on[step], jumped[step]) for step in steps)
