"""Distances between sets: their definitions, laws, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import KernelDensity

from pianogen.metrics.sets import Sample, distances, frechet, overlap
from pianogen.metrics.sets.frechet import shrinkage


def drawn(seed: int, num: int = 40, size: int = 1, mean: float = 0, std: float = 1) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).normal(mean, std, (num, size))


def sample(rows: np.ndarray, windows_per_piece: int = 1) -> Sample:
    piece = np.arange(len(rows)) // windows_per_piece
    return Sample(rows, piece, int(piece.max(initial=-1)) + 1)


def test_distances_within_a_set_are_of_its_pairs_alone() -> None:
    assert sorted(distances(np.array([[0.0], [1.0], [5.0]]))) == [1, 4, 5]


def test_distances_of_histograms_are_euclidean() -> None:
    first, second = drawn(0, 5, 12), drawn(1, 4, 12)
    expected = np.linalg.norm(first[:, None] - second[None], axis=2).ravel()
    np.testing.assert_allclose(distances(first, second), expected)


def test_densities_are_gaussian_kernel_estimates() -> None:
    reference, candidate = drawn(0, 60), drawn(1, 50, mean=0.7)
    found = overlap(candidate, reference)
    assert found is not None
    points = np.linspace(-2, 8, 4000)
    densities = [
        np.exp(KernelDensity(bandwidth=found.bandwidth).fit(values[:, None]).score_samples(points[:, None]))
        for values in (distances(reference), distances(candidate, reference))
    ]
    area = np.minimum(*densities).sum() * (points[1] - points[0])
    kl = (densities[0] * np.log(densities[0] / densities[1])).sum() * (points[1] - points[0])
    assert (found.area, found.kl_nats) == (pytest.approx(area, abs=2e-3), pytest.approx(kl, abs=2e-3))


def test_sets_far_apart_do_not_overlap_and_the_divergence_is_finite() -> None:
    found = overlap(drawn(1, mean=1e6), drawn(0))
    assert found is not None
    assert found.area < 1e-6
    assert np.isfinite(found.kl_nats)


@given(st.integers(0, 1000), st.floats(0.1, 100))
@settings(max_examples=20)
def test_the_unit_of_a_feature_changes_neither_measure(seed: int, unit: float) -> None:
    found, scaled = overlap(drawn(seed), drawn(seed + 1)), overlap(drawn(seed) * unit, drawn(seed + 1) * unit)
    assert found is not None
    assert scaled is not None
    assert (scaled.area, scaled.kl_nats) == (
        pytest.approx(found.area, abs=1e-6),
        pytest.approx(found.kl_nats, abs=1e-6),
    )


def test_overlap_is_not_defined_where_the_feature_is_not() -> None:
    assert overlap(np.full((5, 1), np.nan), drawn(0)) is None


def test_a_constant_feature_of_both_sets_overlaps_fully() -> None:
    found = overlap(np.ones((5, 1)), np.ones((6, 1)))
    assert found is not None
    assert found.area == pytest.approx(1)


@pytest.mark.parametrize(("num", "size"), [(30, 5), (12, 20), (200, 30)])
def test_shrinkage_is_that_of_ledoit_and_wolf(num: int, size: int) -> None:
    rows = drawn(0, num, size) * np.arange(1, size + 1)
    assert shrinkage(rows) == pytest.approx(LedoitWolf().fit(rows).shrinkage_)


def test_the_distance_of_a_set_to_itself_is_zero() -> None:
    rows = drawn(0, 50, 6)
    found = frechet(sample(rows), sample(rows), draws=0)
    assert found is not None
    assert found.distance == pytest.approx(0, abs=1e-9)


def test_the_distance_is_that_of_the_normal_distributions() -> None:
    from scipy.linalg import sqrtm

    first, second = drawn(0, 400, 4, mean=0.5, std=2), drawn(1, 400, 4)
    found = frechet(sample(first), sample(second), draws=0)
    scaled = [np.column_stack([(rows - second.mean(0)) / second.std(0), np.zeros(400)]) for rows in (first, second)]
    covariances = [LedoitWolf().fit(rows).covariance_ for rows in scaled]
    means = scaled[0].mean(0) - scaled[1].mean(0)
    crossed = np.trace(sqrtm(covariances[0] @ covariances[1])).real
    assert found is not None
    assert found.distance == pytest.approx(means @ means + np.trace(covariances[0] + covariances[1]) - 2 * crossed)


def test_a_set_smaller_than_the_features_has_a_finite_distance() -> None:
    found = frechet(sample(drawn(0, 5, 20)), sample(drawn(1, 6, 20)))
    assert found is not None
    assert 0 <= found.low <= found.distance <= found.high < np.inf


def test_pieces_are_drawn_with_all_their_windows() -> None:
    rows = np.repeat(drawn(0, 20, 3), 10, axis=0)  # ten equal windows a piece: no more is known than of one
    reference = sample(drawn(1, 400, 3))
    once, often = frechet(sample(rows[::10]), reference), frechet(sample(rows, 10), reference)
    assert once is not None
    assert often is not None
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.35)


def test_undefined_features_make_a_set_farther() -> None:
    reference, rows = sample(drawn(0, 100, 5)), drawn(1, 100, 5)
    near, far = frechet(sample(rows), reference), frechet(sample(np.where(rows > 1, np.nan, rows)), reference)
    assert near is not None
    assert far is not None
    assert far.distance > near.distance


def test_the_interval_covers_the_distance_to_a_shifted_set_about_as_often_as_it_says() -> None:
    truth, covered = 3 * 0.8**2, 0
    for seed in range(60):
        found = frechet(sample(drawn(2 * seed, 100, 3, mean=0.8)), sample(drawn(2 * seed + 1, 3000, 3)), draws=100)
        assert found is not None
        covered += found.low <= truth <= found.high
    assert covered >= 50
