"""The power of a study: the share of simulated studies of its size that find each hypothesis.

Legend: R raters, H hypotheses, F changes of sign.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from pianogen.progress import Progress
from pianogen.randomness import RandomStream, generator
from pianogen.study.comparison import holm
from pianogen.study.simulation import Size, Spread, simulate

SIGNIFICANT = 0.05
_NUM_FLIPS = 2000  # fewer than in the results: a p-value of one simulated study need not be exact


def power(
    means: Sequence[float], pairs: Sequence[tuple[int, int]], size: Size, studies: int, seed: int
) -> Float[np.ndarray, " H"]:
    """Simulate studies with these means, the spreads of `Spread`, and the tests of `comparison`.

    A hypothesis is found if its p, adjusted by Holm's method over all of them, is below 0.05 and the second condition
    of its pair is rated higher. The same changes of sign serve all pairs of a simulated study.
    """
    lower, higher = (list(column) for column in zip(*pairs, strict=True))
    found = np.zeros(len(pairs))
    with Progress("simulating", total=studies, unit="studies") as bar:
        for study in range(studies):
            random = generator(seed, RandomStream.STUDY_POWER, study)
            ratings = simulate(means, size, Spread(), random).rater_means()
            differences = ratings[:, higher] - ratings[:, lower]
            found += (holm(_p(differences, random)) < SIGNIFICANT) & (differences.mean(axis=0) > 0)
            bar.advance(1)
    return found / studies


def _p(differences: Float[np.ndarray, "R H"], random: Generator) -> Float[np.ndarray, " H"]:
    signs = random.choice([-1.0, 1.0], size=(_NUM_FLIPS, len(differences)))
    extreme = np.abs(signs @ differences) >= np.abs(differences.sum(axis=0)) - 1e-9
    return (extreme.sum(axis=0) + 1) / (_NUM_FLIPS + 1)
