"""Ratings of stimuli by raters, and their means with intervals.

Legend: R raters, S stimuli, C conditions, D draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator
from scipy.stats import norm, t

from pianogen.study.design import HIGHEST, LOWEST

NUM_DRAWS = 10_000
_LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Ratings:
    """A table of ratings; nan where a rater has not heard a stimulus."""

    scores: Float[np.ndarray, "R S"]
    condition_of: Int[np.ndarray, " S"]
    """Index of each stimulus's condition."""
    conditions: tuple[str, ...]

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

    def clusters(self) -> Int[np.ndarray, " C"]:
        """The number of raters or of stimuli with a rating of each condition, whichever is smaller."""
        present = ~np.isnan(self.scores)
        raters = (present @ self._members() > 0).sum(axis=0)
        stimuli = present.any(axis=0) @ self._members()
        return np.minimum(raters, stimuli).astype(np.int64)

    def of(self, raters: Sequence[int]) -> "Ratings":
        """The ratings of some raters."""
        return Ratings(self.scores[list(raters)], self.condition_of, self.conditions)

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


def resampled_means(ratings: Ratings, random: Generator, draws: int = NUM_DRAWS) -> Float[np.ndarray, "D C"]:
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


def sampling_variance(ratings: Ratings) -> Float[np.ndarray, " C"]:
    """Variance of each condition's mean over samples of raters and stimuli, clustered by both.

    With residuals e: sum over raters of (sum e)^2, plus the same over stimuli, minus sum of e^2, which is in both; over
    N^2. Sums over G clusters are multiplied by G / (G - 1).

    Reference: Cameron, Gelbach & Miller (2011), Robust Inference with Multiway Clustering.
    """
    found = np.full(len(ratings.conditions), np.nan)
    for condition, mean in enumerate(ratings.means()):
        scores = ratings.scores[:, ratings.condition_of == condition]
        heard, errors = ~np.isnan(scores), np.nan_to_num(scores - mean)
        by_rater = _of_clusters(errors.sum(axis=1), int((heard.sum(axis=1) > 0).sum()))
        by_stimulus = _of_clusters(errors.sum(axis=0), int((heard.sum(axis=0) > 0).sum()))
        alone = _of_clusters(errors.ravel(), int(heard.sum()))
        # a small sample can make the difference less than one of its parts
        found[condition] = max(by_rater, by_stimulus, by_rater + by_stimulus - alone) / max(1, heard.sum()) ** 2
    return found


def _of_clusters(sums: Float[np.ndarray, " G"], count: int) -> float:
    return float((sums**2).sum()) * count / (count - 1) if count > 1 else 0.0


def interval(
    ratings: Ratings, random: Generator, draws: int = NUM_DRAWS
) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """Lower and upper end of each condition's 95 % interval; nan without ratings.

    It is the middle part of the draws, at the spread of the samples.

    The draws' own spread counts the error of a single rating three times (Owen 2007), which matters where each stimulus
    has few ratings; so their distances from the mean are scaled to the standard deviation by `sampling_variance`, and
    by the quantile of Student's t over the normal one, with as many degrees of freedom as the fewer of the raters and
    the stimuli have.
    """
    means = ratings.means()
    drawn = np.where(np.isnan(means), 0.0, resampled_means(ratings, random, draws))  # those without ratings stay nan
    tail = (1 - _LEVEL) / 2
    ends = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    spread = np.nanstd(drawn, axis=0)
    scale = np.divide(np.sqrt(sampling_variance(ratings)), spread, out=np.ones_like(spread), where=spread > 0)
    scale *= t.ppf(1 - tail, np.maximum(1, ratings.clusters() - 1)) / norm.ppf(1 - tail)
    low, high = np.clip(means + (ends - means) * scale, LOWEST, HIGHEST)
    return low, high
