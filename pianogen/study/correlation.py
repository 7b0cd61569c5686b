"""Do listeners prefer what `pianogen judge` measures? Rank correlations of ratings with measures, over stimuli.

They are exploratory: as many tests as measures, without correction. Legend: S stimuli, M measures, D draws.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.random import Generator
from scipy.stats import rankdata

from pianogen.errors import SourceError
from pianogen.judge.features import SCALARS, WHOLE, tables
from pianogen.judge.piece_sets import RAW_STEPS_PER_QUARTER, as_played
from pianogen.metrics.music import Piece
from pianogen.study.ratings import Ratings
from pianogen.tokens import RawNotes, read_midi

NUM_DRAWS = 2000
MIN_STIMULI = 5  # fewer ranks say nothing


@dataclass(frozen=True)
class Correlation:
    """Spearman's correlation of a measure with the mean ratings of stimuli."""

    measure: str
    stimuli: int
    """With a rating, and for which the measure is defined."""
    rho: float
    low: float
    high: float
    """The middle 95 % of draws of the stimuli."""
    rho_within: float | None
    """The same of distances from the condition's mean: whether the measure orders stimuli of one condition."""


def read_pieces(files: Sequence[Path]) -> list[Piece] | None:
    """The clips' notes on the grid that they share; None if a file is missing or is not a MIDI file."""
    try:
        performances = [read_midi(file) for file in files]
    except (SourceError, OSError):
        return None
    steps_per_quarter = _steps_per_quarter(performances)
    return [as_played(one, steps_per_quarter) for one in performances]


def correlations(ratings: Ratings, pieces: Sequence[Piece], random: Generator) -> list[Correlation]:
    """Correlate each measure of whole clips with the clips' mean ratings, the strongest first.

    Args:
        pieces: Of each stimulus of the ratings.
    """
    found = []
    means = _stimulus_means(ratings)
    measured = tables(pieces, (), 1, lambda _: None)[WHOLE]
    for measure in SCALARS:
        values = measured.of(measure.name)[:, 0]
        known = np.isfinite(values) & np.isfinite(means)
        if known.sum() >= MIN_STIMULI and len(np.unique(values[known])) > 1 and len(np.unique(means[known])) > 1:
            condition = ratings.condition_of[known]
            found.append(_correlation(measure.name, values[known], means[known], condition, random))
    return sorted(found, key=lambda one: -abs(one.rho))


def _stimulus_means(ratings: Ratings) -> Float[np.ndarray, " S"]:
    """The mean rating of each stimulus; nan without ratings."""
    count = (~np.isnan(ratings.scores)).sum(axis=0)
    total = np.nansum(ratings.scores, axis=0)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def _correlation(
    measure: str,
    values: Float[np.ndarray, " S"],
    means: Float[np.ndarray, " S"],
    condition: np.ndarray,
    random: Generator,
) -> Correlation:
    drawn = random.integers(len(values), size=(NUM_DRAWS, len(values)))
    low, high = np.nanquantile(spearman(values[drawn], means[drawn]), [0.025, 0.975]).tolist()
    within = float(spearman(_centred(values, condition)[None], _centred(means, condition)[None])[0])
    rho = float(spearman(values[None], means[None])[0])
    return Correlation(measure, len(values), rho, low, high, None if math.isnan(within) else within)


def spearman(first: Float[np.ndarray, "D S"], second: Float[np.ndarray, "D S"]) -> Float[np.ndarray, " D"]:
    """Spearman's rank correlation of each pair of rows; nan where one of them is constant."""
    ranks = [rankdata(values, axis=1) for values in (first, second)]
    x, y = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    norm = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), norm, out=np.full(len(x), np.nan), where=norm > 0)


def _centred(values: Float[np.ndarray, " S"], condition: np.ndarray) -> Float[np.ndarray, " S"]:
    """Distances from the mean of the condition; rounded, so that equal values stay equal."""
    means = np.bincount(condition, values) / np.maximum(np.bincount(condition), 1)
    return np.round(values - means[condition], 9)


def _steps_per_quarter(performances: Sequence[RawNotes]) -> int:
    """The coarsest grid that all notes are on."""
    coarsest = 1
    for one in performances:
        step = math.gcd(one.ticks_per_quarter, *one.onset.tolist(), *one.duration.tolist())
        coarsest = math.lcm(coarsest, one.ticks_per_quarter // step)
    return min(coarsest, RAW_STEPS_PER_QUARTER)  # notes as they were played are on no coarse grid
