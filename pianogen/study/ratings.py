"""Ratings of stimuli by raters, and their means with intervals.

Legend: R raters, S stimuli, C conditions, D draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

LOWEST, HIGHEST = 0, 5  # of the paper's scale
NUM_DRAWS = 10_000


@dataclass(frozen=True, eq=False)
class Ratings:
    """A table of ratings; nan where a rater has not heard a stimulus."""

    scores: Float[np.ndarray, "R S"]
    condition_of: Int[np.ndarray, " S"]
    """Index of each stimulus's condition."""
    conditions: tuple[str, ...]
    raters: tuple[str, ...] = ()
    stimuli: tuple[str, ...] = ()

    def means(self) -> Float[np.ndarray, " C"]:
        """The mean rating of each condition; nan for one that nobody has rated."""
        ones = np.ones((1, self.scores.shape[0])), np.ones((1, self.scores.shape[1]))
        return weighted_means(self, *ones)[0]

    def rater_means(self) -> Float[np.ndarray, "R C"]:
        """Each rater's mean rating of each condition."""
        present = ~np.isnan(self.scores)
        members = self._members()
        counts = present @ members
        sums = np.where(present, self.scores, 0.0) @ members
        return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)

    def of(self, raters: Sequence[int]) -> "Ratings":
        """The ratings of some raters."""
        names = tuple(self.raters[index] for index in raters) if self.raters else ()
        return Ratings(self.scores[list(raters)], self.condition_of, self.conditions, names, self.stimuli)

    def _members(self) -> Float[np.ndarray, "S C"]:
        return (self.condition_of[:, None] == np.arange(len(self.conditions))).astype(np.float64)


def weighted_means(
    ratings: Ratings, raters: Float[np.ndarray, "D R"], stimuli: Float[np.ndarray, "D S"]
) -> Float[np.ndarray, "D C"]:
    """The mean of each condition when each rater and each stimulus counts as often as its weight says."""
    present = ~np.isnan(ratings.scores)
    members = ratings._members()
    sums = (raters @ np.where(present, ratings.scores, 0.0) * stimuli) @ members
    counts = (raters @ present * stimuli) @ members
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def resampled_means(ratings: Ratings, random: np.random.Generator, draws: int = NUM_DRAWS) -> Float[np.ndarray, "D C"]:
    """The means when raters, and the stimuli of each condition, are drawn with replacement.

    Both are samples of larger populations, so that both are drawn: the intervals are for other raters and other
    stimuli. The variance is at worst too large, by that of a single rating's error.

    Reference: Owen (2007), The Pigeonhole Bootstrap.
    """
    num_raters = len(ratings.scores)
    raters = random.multinomial(num_raters, np.full(num_raters, 1 / num_raters), size=draws)
    stimuli = np.zeros((draws, ratings.scores.shape[1]))
    for condition in range(len(ratings.conditions)):
        chosen = np.flatnonzero(ratings.condition_of == condition)
        if len(chosen):
            stimuli[:, chosen] = random.multinomial(len(chosen), np.full(len(chosen), 1 / len(chosen)), size=draws)
    return weighted_means(ratings, raters.astype(np.float64), stimuli)


def interval(draws: Float[np.ndarray, "D C"], level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The middle part of the draws, by condition: lower and upper ends."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail], axis=0)
    return low, high
