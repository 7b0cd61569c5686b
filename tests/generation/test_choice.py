"""A word is chosen by its filtered probability, never outside the mask, with noise of seed, piece and position."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pianogen.generation.choice import Filters, NoiseStream, choose, gumbel

NUM_WORDS = 12
LOGITS = arrays(np.float64, (NUM_WORDS,), elements=st.floats(-30, 30))
MASKS = arrays(bool, (NUM_WORDS,)).filter(lambda mask: bool(mask.any()))
SEEDS = st.integers(-(2**63), 2**64 - 1)
SHARES = st.none() | st.integers(1, 100).map(lambda percent: percent / 100)


def noise_of(num_rows: int) -> np.ndarray:
    """Gumbel noise of `num_rows` positions, cut to a small vocabulary."""
    stream = NoiseStream(seed=1, piece=0)
    return gumbel(np.stack([stream.bits(position)[:NUM_WORDS] for position in range(num_rows)]))


def scores_of(logits: np.ndarray, legal: np.ndarray) -> np.ndarray:
    """Log-probabilities relative to the likeliest legal word."""
    scores = np.where(legal, logits, -np.inf)
    return scores - scores.max()


def kept_by_brute_force(
    logits: np.ndarray, legal: np.ndarray, top_k: int | None, top_p: float | None, min_p: float | None
) -> set[int]:
    """The definition, word by word."""
    scores = scores_of(logits, legal)
    shares = np.exp(scores) / np.exp(scores).sum()
    ranking = sorted(np.flatnonzero(legal), key=lambda word: (-scores[word], word))
    kept = set()
    for rank, word in enumerate(ranking):
        before = sum(shares[better] for better in ranking[:rank])
        in_top_k = top_k is None or rank < top_k
        assume(top_p in (None, 1) or abs(before - top_p) > 1e-9)  # rounding may decide such a tie either way
        in_top_p = top_p is None or top_p == 1 or before < top_p
        if in_top_k and in_top_p and (min_p is None or scores[word] >= np.log(min_p)):
            kept.add(int(word))
    return kept


@given(LOGITS, MASKS, st.none() | st.integers(1, 15), SHARES, SHARES)
def test_filters_keep_what_their_definition_keeps(logits, legal, top_k, top_p, min_p):
    kept = Filters(top_k, top_p, min_p).keep(scores_of(logits, legal)[None])[0]
    assert set(np.flatnonzero(kept)) == kept_by_brute_force(logits, legal, top_k, top_p, min_p)


def test_a_top_p_of_1_leaves_out_no_word_however_unlikely():
    scores = np.array([[-60.0, 0.0, -80.0]])
    assert Filters(top_k=3, top_p=1.0).keep(scores).tolist() == [[True, True, True]]


@given(LOGITS, MASKS, st.none() | st.integers(1, 15), SHARES, SHARES, st.floats(0.01, 100))
def test_the_chosen_word_is_legal_and_passes_the_filters(logits, legal, top_k, top_p, min_p, temperature):
    word = choose(logits[None], legal[None], noise_of(1), np.array([temperature]), Filters(top_k, top_p, min_p))[0]
    assert int(word) in kept_by_brute_force(logits, legal, top_k, top_p, min_p)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_words_are_chosen_as_often_as_their_probabilities_say(temperature):
    num_draws = 20_000
    logits = np.log(np.arange(1.0, NUM_WORDS + 1))
    rows = np.tile(logits, (num_draws, 1))
    words = choose(rows, rows < logits[10], noise_of(num_draws), np.full(num_draws, temperature), Filters())
    expected = np.exp(logits[:10] / temperature)
    expected *= num_draws / expected.sum()
    chi_square = ((np.bincount(words, minlength=10) - expected) ** 2 / expected).sum()
    assert chi_square < 27.88, "nine degrees of freedom exceed this once in a thousand"


def test_each_row_has_its_own_temperature():
    logits = np.tile(np.arange(NUM_WORDS, dtype=np.float64), (2, 1))
    legal = np.ones_like(logits, dtype=bool)
    cold, hot = choose(logits, legal, np.tile([50.0] + [0.0] * 11, (2, 1)), np.array([1e-3, 1.0]), Filters())
    assert (cold, hot) == (NUM_WORDS - 1, 0)


def test_a_temperature_next_to_zero_takes_the_likeliest_word():
    logits = np.linspace(0, 1, NUM_WORDS)[None]
    words = choose(logits, np.ones_like(logits, dtype=bool), noise_of(1), np.array([5e-324]), Filters())
    assert words.tolist() == [NUM_WORDS - 1]


@given(SEEDS, st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=6))
def test_a_position_has_the_same_noise_whatever_was_read_before(seed, piece, positions):
    stream = NoiseStream(seed, piece)
    for position in positions:
        np.testing.assert_array_equal(stream.bits(position), NoiseStream(seed, piece).bits(position))


@given(SEEDS, st.integers(0, 10**9), st.integers(0, 10**6))
def test_another_seed_piece_or_position_has_other_noise(seed, piece, position):
    there = NoiseStream(seed, piece).bits(position)
    others = [NoiseStream(seed - 1, piece).bits(position), NoiseStream(seed, piece + 1).bits(position)]
    others.append(NoiseStream(seed, piece).bits(position + 1))
    assert not any(np.intersect1d(there, other).size for other in others)


def test_gumbel_noise_has_the_mean_and_variance_of_its_law():
    stream = NoiseStream(seed=0, piece=0)
    noise = gumbel(np.stack([stream.bits(position) for position in range(500)]))
    np.testing.assert_allclose([noise.mean(), noise.var()], [0.5772, np.pi**2 / 6], rtol=0.02)


def test_the_extreme_bits_give_finite_noise():
    assert np.isfinite(gumbel(np.array([0, 2**64 - 1], dtype=np.uint64))).all()
