"""Counts add up, travel as one vector and sort every target into one group."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_performances import performances, spell

from pianogen.evaluation.counts import NUM_GROUPS, Counts, groups_of
from pianogen.ops.masked_cross_entropy import GROUPS
from pianogen.tokens.vocab import VOCABULARY_SIZE, words_of

rows = st.lists(
    st.tuples(
        st.integers(0, VOCABULARY_SIZE - 1),
        st.integers(0, VOCABULARY_SIZE - 1),
        st.integers(0, NUM_GROUPS - 1),
        st.floats(0, 20),
    ),
    max_size=30,
)


def counts_of(table) -> Counts:
    targets, predictions, groups, nll = (np.array(column) for column in zip(*table, strict=True)) if table else [[]] * 4
    as_ids = (np.array(column, dtype=np.int64) for column in (targets, predictions, groups))
    return Counts.of(*as_ids, nll_nats=np.array(nll, dtype=np.float64))


def equal(one: Counts, other: Counts) -> bool:
    return np.allclose(one.to_vector(), other.to_vector(), rtol=1e-12)


@given(rows, rows)
def test_counts_of_two_sets_add_up_to_the_counts_of_both(one, other):
    assert equal(counts_of(one) + counts_of(other), counts_of(one + other))


@given(rows)
def test_a_vector_brings_every_number_back(table):
    counts = counts_of(table)
    back = Counts.from_vector(counts.to_vector())
    assert np.array_equal(back.to_vector(), counts.to_vector())


@given(rows)
def test_adding_nothing_changes_nothing(table):
    assert equal(counts_of(table) + Counts.zero(), counts_of(table))


@given(rows)
def test_every_target_counts_once(table):
    assert counts_of(table).targets.tolist() == [sum(row[2] == group for row in table) for group in range(NUM_GROUPS)]


def test_counts_beyond_32_bits_stay_exact():
    many = Counts.zero()
    many.support[0, 60] = 2**40 + 1
    assert (many + many).support[0, 60] == 2**41 + 2


def test_a_length_belongs_to_what_it_measures():
    ids = spell("xxsep d4 n60 d4 xxeos").astype(np.int64)
    groups = groups_of(ids, np.concatenate([[0], ids[:-1]]))
    assert [GROUPS[group] for group in groups] == ["wait", "wait", "note", "duration", "end"]


@given(performances())
def test_groups_follow_the_words_of_any_performance(ids):
    names = words_of(ids)
    groups = groups_of(ids[2:], ids[1:-1])
    kinds = {"n": "note", "d": "duration"}
    expected = [
        "wait" if "xxsep" in (before, word) else kinds.get(word[0], "end") for before, word in pairwise(names[1:])
    ]
    assert [GROUPS[group] for group in groups] == expected
