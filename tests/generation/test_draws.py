"""Random draws are a pure function of seed, piece and position."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pianogen.generation.draws import Draws, gumbel

SEEDS = st.integers(-(2**63), 2**64 - 1)


@given(SEEDS, st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=6))
def test_a_position_has_the_same_draws_whatever_was_read_before(seed, piece, positions):
    draws = Draws(seed, piece)
    for position in positions:
        np.testing.assert_array_equal(draws.bits(position), Draws(seed, piece).bits(position))


@given(SEEDS, st.integers(0, 10**9), st.integers(0, 10**6))
def test_another_seed_piece_or_position_has_other_draws(seed, piece, position):
    there = Draws(seed, piece).bits(position)
    others = [Draws(seed - 1, piece).bits(position), Draws(seed, piece + 1).bits(position)]
    others.append(Draws(seed, piece).bits(position + 1))
    assert not any(np.intersect1d(there, other).size for other in others)


def test_gumbel_noise_has_the_mean_and_variance_of_its_law():
    draws = Draws(seed=0, piece=0)
    noise = gumbel(np.stack([draws.bits(position) for position in range(500)]))
    np.testing.assert_allclose([noise.mean(), noise.var()], [0.5772, np.pi**2 / 6], rtol=0.02)


def test_the_extreme_bits_give_finite_noise():
    assert np.isfinite(gumbel(np.array([0, 2**64 - 1], dtype=np.uint64))).all()
