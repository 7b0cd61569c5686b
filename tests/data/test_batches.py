"""Batches: their content depends on the performances and the order, not on the rank."""

import gc
import weakref
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.data import Batches, Split, chosen_performances, open_shards, training_batches
from pianogen.data.batches import shift_of
from pianogen.ops.masked_cross_entropy import IGNORE
from pianogen.tokens.grammar import allowed, legal
from pianogen.tokens.transpose import possible_shifts, transpose
from pianogen.tokens.vocab import BOS, EOS, PAD

ROWS = range(4)


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
    """A split of short made-up performances that counts how often one is read, and how many are still held."""

    def __init__(self, count: int) -> None:
        self.lengths = np.full(count, 2 + 2 * 20 + 1)
        self.held: list[weakref.ref[np.ndarray]] = []

    def tokens(self, index: int) -> np.ndarray:
        ids = np.array([BOS, PAD, *[9 + 60, 138] * 20, EOS], np.int16)
        self.held.append(weakref.ref(ids))
        return ids


def many_rows(split: Counted, rows: int) -> Batches:
    return training_batches(
        cast("Split", split), order="stream", excerpt_tokens=4, global_batch=rows, seed=3, transposed=False
    )


@pytest.mark.parametrize("rows", [64, 300])
def test_a_row_of_a_stream_reads_each_of_its_performances_once(rows: int) -> None:
    split = Counted(900)
    batches = many_rows(split, rows)
    for step in range(batches.order.steps_per_epoch):
        batches.batch(step, range(rows))
    assert len(split.held) <= 900 + rows  # lanes end within a performance


def test_each_row_keeps_one_performance_until_it_is_no_longer_read() -> None:
    split = Counted(900)
    batches = many_rows(split, 300)
    for rows in (range(150), range(150, 250)):
        for step in range(8):
            batches.batch(step, rows)
        gc.collect()
        assert sum(ref() is not None for ref in split.held) <= len(rows)


def test_continuing_and_jumping_give_the_same_rows(tiny_shards: Path) -> None:
    going, jumping = batches_of(tiny_shards, transposed=True), batches_of(tiny_shards, transposed=True)
    steps = range(2 * going.order.steps_per_epoch)
    read_on = [going.batch(step, ROWS).inputs for step in steps]
    jumped = {step: jumping.batch(step, ROWS).inputs for step in reversed(steps)}
    assert all(np.array_equal(read_on[step], jumped[step]) for step in steps)
