"""The averages agree with scikit-learn on any predictions, and follow the paper's formula where the two differ."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from pianogen.metrics import GROUPS, Averages, averages, classification

NUM_CLASSES = 6
pairs_of_words = st.lists(
    st.tuples(st.integers(0, NUM_CLASSES - 1), st.integers(0, NUM_CLASSES - 1)), min_size=1, max_size=80
)


def counts_of(targets, predictions, num_classes=NUM_CLASSES):
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    hits = targets[targets == predictions]
    return tuple(np.bincount(words, minlength=num_classes) for words in (hits, predictions, targets))


def averages_of(targets, predictions) -> Averages:
    return averages(*counts_of(targets, predictions))


def sklearn_averages(targets, predictions, average, labels):
    rules: dict[str, Any] = {"labels": labels, "average": average, "zero_division": 0}
    return precision_recall_fscore_support(targets, predictions, **rules)[:3]


@given(pairs_of_words)
def test_macro_averages_agree_with_scikit_learn_over_the_classes_that_occur(pairs):
    targets, predictions = zip(*pairs, strict=True)
    ours = averages_of(targets, predictions)
    expected = sklearn_averages(targets, predictions, "macro", sorted(set(targets)))
    assert (ours.macro_precision, ours.macro_recall, ours.macro_f1_sklearn) == pytest.approx(expected)


@given(pairs_of_words)
def test_weighted_averages_agree_with_scikit_learn(pairs):
    targets, predictions = zip(*pairs, strict=True)
    ours = averages_of(targets, predictions)
    expected = sklearn_averages(targets, predictions, "weighted", sorted(set(targets)))
    assert (ours.weighted_precision, ours.weighted_recall, ours.weighted_f1) == pytest.approx(expected)


@given(pairs_of_words)
def test_all_classes_averages_agree_with_scikit_learn_over_every_word(
    pairs,
):
    targets, predictions = zip(*pairs, strict=True)
    ours = averages_of(targets, predictions)
    expected = sklearn_averages(targets, predictions, "macro", range(NUM_CLASSES))
    assert (ours.all_classes_precision, ours.all_classes_recall) == pytest.approx(expected[:2])


@given(pairs_of_words)
def test_accuracy_agrees_with_scikit_learn_and_equals_the_weighted_recall(pairs):
    targets, predictions = zip(*pairs, strict=True)
    ours = averages_of(targets, predictions)
    assert (ours.accuracy, ours.weighted_recall) == pytest.approx((accuracy_score(targets, predictions),) * 2)


@given(pairs_of_words, st.permutations(range(NUM_CLASSES)))
def test_renaming_the_classes_changes_no_average(pairs, names):
    targets, predictions = zip(*pairs, strict=True)
    renamed = averages_of([names[word] for word in targets], [names[word] for word in predictions])
    assert asdict(renamed) == pytest.approx(asdict(averages_of(targets, predictions)))


def test_macro_f1_is_the_harmonic_mean_of_the_means_and_not_the_mean_of_the_f1s():
    # Class 0: P 1, R 1/2. Class 1: P 1/2, R 1. Means 3/4 and 3/4, so the paper's F1 is 3/4; each class's F1 is 2/3.
    ours = averages_of([0, 0, 1], [0, 1, 1])
    assert (ours.macro_f1, ours.macro_f1_sklearn) == pytest.approx((3 / 4, 2 / 3))


def test_a_class_never_predicted_has_precision_zero():
    assert averages_of([0, 1], [0, 0]).macro_precision == pytest.approx((1 / 2 + 0) / 2)


def test_no_targets_give_zeros():
    empty = averages(*(np.zeros(NUM_CLASSES, dtype=np.int64),) * 3)
    assert set(asdict(empty).values()) == {0}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=80))
def test_overall_counts_every_group_but_the_end(rows):
    by_group = [[pair for group, *pair in rows if group == index] for index in range(3)]
    by_group.append([[5, 0], [5, 5]])
    counts = [counts_of(*np.array(pairs or np.zeros((0, 2), int)).T) for pairs in by_group]
    overall = classification(*np.stack(counts, axis=1)).overall
    assert overall == averages_of([target for _, target, _ in rows], [guess for _, _, guess in rows])


def test_the_end_is_reported_separately():
    true_positive, predicted, support = np.zeros((3, len(GROUPS), NUM_CLASSES), dtype=np.int64)
    support[3, 2], true_positive[3, 2], predicted[3, 2] = 4, 1, 1
    predicted[0, 2] = 1
    support[0, 0] = 1
    result = classification(true_positive, predicted, support)
    assert (result.end_targets, result.end_recall, result.end_precision, result.overall.targets) == (4, 0.25, 0.5, 1)
