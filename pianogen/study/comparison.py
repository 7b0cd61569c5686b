"""Which conditions differ: paired permutation tests, the analysis that a study names before anyone listens."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from pianogen.study.ratings import Ratings

NUM_PERMUTATIONS = 10_000
EXACT_UP_TO = 13  # raters: all 2^13 changes of sign are fewer than the permutations that would be drawn


@dataclass(frozen=True)
class Comparison:
    """The difference of two conditions, over the raters who have heard both."""

    first: int
    second: int
    difference: float | None
    """Mean over the raters of second minus first; None without raters."""
    raters: int
    p: float
    """Two-sided, of the permutation test."""
    adjusted_p: float
    """By Holm's method, over all comparisons of the family."""


def all_pairs(conditions: int) -> list[tuple[int, int]]:
    """Every two conditions."""
    return list(combinations(range(conditions), 2))


def compare(ratings: Ratings, random: Generator, pairs: Sequence[tuple[int, int]]) -> list[Comparison]:
    """Test pairs of conditions on each rater's means.

    If two conditions do not differ, a rater's difference is as likely to have the opposite sign. The signs of all
    raters are changed in every way, or in 10,000 random ways if there are more.

    Reference: Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure.
    """
    means = ratings.rater_means()
    differences = [means[:, second] - means[:, first] for first, second in pairs]
    differences = [values[~np.isnan(values)] for values in differences]
    p = np.array([sign_flip_p(values, random) for values in differences])
    return [
        Comparison(*pair, float(values.mean()) if len(values) else None, len(values), *both)
        for pair, values, both in zip(pairs, differences, zip(p.tolist(), holm(p).tolist(), strict=True), strict=True)
    ]


def sign_flip_p(differences: Float[np.ndarray, " R"], random: Generator) -> float:
    """The share of sign changes with a mean at least as far from 0; 1 without any rater."""
    count = len(differences)
    if count == 0:
        return 1.0
    exact = count <= EXACT_UP_TO
    if exact:
        signs = 1 - 2.0 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
    else:
        signs = random.choice([-1.0, 1.0], size=(NUM_PERMUTATIONS, count))
    observed = abs(differences.sum())
    extreme = int((np.abs(signs @ differences) >= observed - 1e-9).sum())
    # exact signs include the observed ones; to random ones these are added (Phipson & Smyth 2010)
    return extreme / len(signs) if exact else (extreme + 1) / (len(signs) + 1)


def holm(p: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Holm's adjusted p-values."""
    order = np.argsort(p)
    factors = np.arange(len(p), 0, -1)
    adjusted = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result
