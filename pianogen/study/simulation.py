"""Simulated studies: raters and stimuli drawn from stated variances, to test the analysis and to plan the size.

A rating is round(clip(mean of the condition + rater + stimulus + error, 0, 5)). Clipping moves means: the truth of a
simulation is the expectation of that, not the mean that was given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator
from scipy.stats import norm

from pianogen.study.design import HIGHEST, LOWEST
from pianogen.study.orders import session
from pianogen.study.ratings import Ratings


@dataclass(frozen=True)
class Spread:
    """Standard deviations on the scale of 0 to 5."""

    rater: float = 0.6
    """How strict a rater is."""
    stimulus: float = 0.4
    """How good a piece is among those of its condition."""
    error: float = 0.8
    """What is left: a rating's own chance."""

    @property
    def total(self) -> float:
        """Of one rating."""
        return float(np.sqrt(self.rater**2 + self.stimulus**2 + self.error**2))


@dataclass(frozen=True)
class Size:
    """How large a study is."""

    raters: int = 14
    clips: int = 2
    """Clips of each condition that one rater hears."""
    stimuli: int = 8
    """Stimuli in each condition."""


def simulate(means: Sequence[float], size: Size, spread: Spread, random: Generator) -> Ratings:
    """Draw the ratings of one study; the raters hear what `session` assigns."""
    count = len(means)
    scores = np.full((size.raters, count * size.stimuli), np.nan)
    severity = random.normal(0, spread.rater, size.raters)
    quality = np.repeat(means, size.stimuli) + random.normal(0, spread.stimulus, count * size.stimuli)
    for rater in range(size.raters):
        heard = [
            clip.condition * size.stimuli + clip.stimulus for clip in session(rater, count, size.clips, size.stimuli)
        ]
        scores[rater, heard] = quality[heard] + severity[rater] + random.normal(0, spread.error, len(heard))
    names = tuple(map(str, range(count)))
    return Ratings(on_scale(scores), np.repeat(np.arange(count), size.stimuli), names)


def expected_rating(mean: float, spread: Spread) -> float:
    """The expectation of a rating whose unrounded value is normal around `mean`."""
    edges = np.arange(LOWEST, HIGHEST) + 0.5  # between neighbouring ratings
    return float(LOWEST + norm.sf(edges, loc=mean, scale=spread.total).sum())


def on_scale(scores: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The nearest rating."""
    return np.floor(np.clip(scores, LOWEST, HIGHEST) + 0.5)
