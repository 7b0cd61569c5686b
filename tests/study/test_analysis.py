"""The analysis of ratings against its definitions and against other packages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pianogen.study.agreement import ordinal_alpha
from pianogen.study.comparison import compare, holm, sign_flip_p
from pianogen.study.mixed_model import fit_mixed_model
from pianogen.study.ratings import Ratings, interval, resampled_means, weighted_means
from pianogen.study.simulation import Size, Spread, expected_rating, simulate

SEEDS = st.integers(0, 10_000)


def study(seed: int, means: tuple[float, ...] = (1.5, 2.5, 4.0), **size: int) -> Ratings:
    return simulate(means, Size(**size), Spread(), np.random.default_rng(seed))


@given(SEEDS)
def test_the_mean_of_a_condition_is_that_of_its_ratings(seed: int) -> None:
    ratings = study(seed)
    for condition, mean in enumerate(ratings.means()):
        assert mean == pytest.approx(np.nanmean(ratings.scores[:, ratings.condition_of == condition]))


@given(SEEDS)
def test_a_weight_of_two_is_a_second_copy(seed: int) -> None:
    ratings = study(seed, raters=4)
    doubled = ratings.of([0, 0, 1, 2, 3])
    weights = np.array([[2.0, 1, 1, 1]]), np.ones((1, ratings.scores.shape[1]))
    np.testing.assert_allclose(weighted_means(ratings, *weights)[0], doubled.means())


def test_an_unrated_condition_has_no_mean() -> None:
    ratings = Ratings(np.array([[1.0, np.nan]]), np.array([0, 1]), ("a", "b"))
    np.testing.assert_array_equal(ratings.means(), [1.0, np.nan])


def test_without_spread_all_draws_are_the_means() -> None:
    ratings = simulate((1.0, 4.0), Size(), Spread(0, 0, 0), np.random.default_rng(0))
    draws = resampled_means(ratings, np.random.default_rng(0), draws=50)
    np.testing.assert_array_equal(draws[~np.isnan(draws).any(axis=1)] - [1.0, 4.0], 0.0)


@given(mean=st.floats(-1, 6), rater=st.floats(0.1, 1), error=st.floats(0.1, 1))
def test_the_expected_rating_is_that_of_the_rounded_and_clipped_normal(mean: float, rater: float, error: float) -> None:
    spread = Spread(rater, 0.3, error)
    quantiles = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000, loc=mean, scale=spread.total)
    by_quadrature = np.floor(np.clip(quantiles, 0, 5) + 0.5).mean()
    assert expected_rating(mean, spread) == pytest.approx(by_quadrature, abs=1e-3)


@given(st.lists(st.floats(-3, 3, width=16), min_size=2, max_size=8))
def test_the_exact_test_agrees_with_scipy(differences: list[float]) -> None:
    values = np.array(differences)
    expected = stats.permutation_test(
        (values,), lambda x, axis: np.abs(x.mean(axis=axis)), permutation_type="samples", alternative="greater",
        vectorized=True, n_resamples=10_000,
    ).pvalue  # fmt: skip
    assert sign_flip_p(values, np.random.default_rng(0)) == pytest.approx(expected)


def test_the_random_test_is_near_the_exact_one() -> None:
    values = np.random.default_rng(3).normal(0.25, 1, 16)
    signs = 1 - 2.0 * ((np.arange(2**16)[:, None] >> np.arange(16)) & 1)
    exact = (np.abs(signs @ values) >= abs(values.sum()) - 1e-9).mean()
    assert sign_flip_p(values, np.random.default_rng(0)) == pytest.approx(exact, abs=0.02)


def test_a_true_null_is_rejected_as_often_as_the_level_says() -> None:
    random = np.random.default_rng(1)
    p = [sign_flip_p(random.normal(0, 1, 9), random) for _ in range(1000)]
    assert 0.03 < np.mean(np.array(p) <= 0.05) < 0.07


def test_holms_values_are_those_of_his_example() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_only_raters_who_heard_both_conditions_are_compared() -> None:
    ratings = Ratings(np.array([[1.0, 3.0], [2.0, np.nan], [2.0, 5.0]]), np.array([0, 1]), ("a", "b"))
    (found,) = compare(ratings, np.random.default_rng(0), [(0, 1)])
    assert (found.raters, found.difference) == (2, 2.5)


def test_agreement_is_1_when_all_say_the_same_and_0_by_chance() -> None:
    same = np.tile([0.0, 2, 5, 3], (3, 1))
    assert ordinal_alpha(Ratings(same, np.zeros(4, int), ("a",))) == pytest.approx(1.0)
    chance = np.random.default_rng(0).integers(0, 6, (20, 300)).astype(float)
    assert ordinal_alpha(Ratings(chance, np.zeros(300, int), ("a",))) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("scores", [[[1.0, np.nan], [np.nan, 2.0]], [[3.0, 3.0], [3.0, 3.0]]])
def test_agreement_is_not_defined_without_pairs_or_without_differences(scores: list[list[float]]) -> None:
    assert ordinal_alpha(Ratings(np.array(scores), np.zeros(2, int), ("a",))) is None


def test_the_mixed_model_finds_the_variances_and_effects_of_a_simulation() -> None:
    found = fit_mixed_model(study(0, means=(2.0, 3.0), raters=40, clips=8, stimuli=20))
    assert found is not None
    assert found.converged
    assert found.effects[0].difference == pytest.approx(1.0, abs=0.4)
    assert found.rater_sd == pytest.approx(0.6, abs=0.25)
    assert found.stimulus_sd == pytest.approx(0.4, abs=0.2)
    assert found.error_sd == pytest.approx(0.8, abs=0.15)


@pytest.mark.parametrize("scores", [[[3.0, 3.0], [3.0, 3.0]], [[1.0, np.nan], [np.nan, 3.0]]])
def test_ratings_that_cannot_be_fitted_have_no_mixed_model(scores: list[list[float]]) -> None:
    assert fit_mixed_model(Ratings(np.array(scores), np.array([0, 1]), ("a", "b"))) is None


def test_a_condition_without_ratings_has_no_interval() -> None:
    ratings = Ratings(np.array([[1.0, np.nan], [3.0, np.nan]]), np.array([0, 1]), ("a", "b"))
    low, high = interval(ratings, np.random.default_rng(0), draws=50)
    assert np.isnan([low[1], high[1]]).all()
    assert low[0] <= 2 <= high[0]


def test_an_interval_without_spread_is_the_mean() -> None:
    low, high = interval(simulate((2.0,), Size(), Spread(0, 0, 0), np.random.default_rng(0)), np.random.default_rng(0))
    assert (low, high) == ([2.0], [2.0])
