"""The paired bootstrap: its measures agree with the averages, and its intervals hold what they promise."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.metrics import PerformanceSums, averages, intervals, resampled
from pianogen.metrics.bootstrap import draw_weights, measures


def sums_of(seed: int, performances: int = 12, words: int = 6, correct: float = 0.5) -> PerformanceSums:
    """Random predictions, of which about a share `correct` is right."""
    random = np.random.default_rng(seed)
    shape = performances, words
    true_positive, predicted, support = (np.zeros(shape, np.int64) for _ in range(3))
    nll = np.zeros(performances)
    for index in range(performances):
        targets = random.integers(words, size=random.integers(5, 60))
        words_predicted = np.where(
            random.random(len(targets)) < correct, targets, random.integers(words, size=len(targets))
        )
        support[index] = np.bincount(targets, minlength=words)
        predicted[index] = np.bincount(words_predicted, minlength=words)
        true_positive[index] = np.bincount(targets[targets == words_predicted], minlength=words)
        nll[index] = random.gamma(len(targets))
    return PerformanceSums(true_positive, predicted, support, nll, support.sum(axis=1))


def interval_of(first: PerformanceSums, second: PerformanceSums, draws: int = 300) -> dict[str, tuple[float, float]]:
    found = intervals([resampled(first, draws)], [resampled(second, draws)])
    return {name: (one.low, one.high) for name, one in found.items()}


@given(st.integers(0, 10_000))
def test_each_performance_once_gives_the_averages(seed: int) -> None:
    sums = sums_of(seed)
    all_of_them = averages(*(getattr(sums, name).sum(axis=0) for name in ("true_positive", "predicted", "support")))
    nll, accuracy, f1 = resampled(sums, draws=1)[0]
    assert (accuracy, f1) == pytest.approx((all_of_them.accuracy, all_of_them.weighted_f1))
    assert nll == pytest.approx(sums.nll_nats.sum() / sums.targets.sum())


@given(st.integers(0, 10_000))
def test_a_performance_drawn_twice_counts_as_two(seed: int) -> None:
    sums = sums_of(seed, performances=5)
    weights = draw_weights(5, 1, seed)
    drawn = np.repeat(np.arange(5), weights[0].astype(int))
    repeated = PerformanceSums(**{field.name: getattr(sums, field.name)[drawn] for field in fields(sums)})
    assert measures(sums, weights)[0] == pytest.approx(measures(repeated, np.ones((1, 5)))[0])


def test_every_draw_has_as_many_performances_as_there_are() -> None:
    assert (draw_weights(7, 100, 0).sum(axis=1) == 7).all()


def test_identical_runs_do_not_differ() -> None:
    assert set(interval_of(sums_of(1), sums_of(1)).values()) == {(0.0, 0.0)}


def test_a_run_better_on_every_performance_is_better_in_every_draw() -> None:
    worse = sums_of(3, correct=0.3)
    perfect = PerformanceSums(worse.support, worse.support, worse.support, worse.nll_nats - 1, worse.targets)
    found = interval_of(worse, perfect)
    assert found["nll"][1] < 0
    assert found["accuracy"][0] > 0
    assert found["weighted_f1"][0] > 0


def test_exchanging_two_runs_mirrors_the_interval() -> None:
    there, back = interval_of(sums_of(1), sums_of(2)), interval_of(sums_of(2), sums_of(1))
    for name, (low, high) in there.items():
        assert back[name] == pytest.approx((-high, -low))


def test_the_difference_of_several_seeds_is_the_difference_of_their_means() -> None:
    first, second = [resampled(sums_of(seed), 10) for seed in (1, 2)], [resampled(sums_of(seed), 10) for seed in (3, 4)]
    found = intervals(first, second)["nll"].difference
    assert found == pytest.approx(np.mean([one[0, 0] for one in second]) - np.mean([one[0, 0] for one in first]))


def test_the_same_seed_gives_the_same_draws_whatever_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resampled(sums_of(1), draws=100, seed=3)
    monkeypatch.setattr("pianogen.metrics.bootstrap._DRAWS_AT_ONCE", 7)
    assert resampled(sums_of(1), draws=100, seed=3) == pytest.approx(whole)
    assert not np.allclose(resampled(sums_of(1), draws=100, seed=4)[1:], whole[1:])


def test_intervals_hold_the_true_difference_about_as_often_as_they_promise() -> None:
    # performances differ in difficulty, which both models share, and the second model is better by 0.1 on average
    random, held, worlds, performances = np.random.default_rng(0), 0, 300, 60
    zero, targets = np.zeros((performances, 1), np.int64), np.full(performances, 100)
    for _ in range(worlds):
        difficulty = random.normal(2.0, 0.5, performances)
        nlls = [difficulty + random.normal(shift, 0.2, performances) for shift in (0.0, -0.1)]
        models = [PerformanceSums(zero, zero, zero + 1, 100 * nll, targets) for nll in nlls]
        low, high = interval_of(*models, draws=400)["nll"]
        held += low <= -0.1 <= high
    assert 0.91 <= held / worlds <= 0.98
