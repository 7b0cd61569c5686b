"""Overlapping area and Kullback-Leibler divergence of the distances within a set and those to another set.

Both densities are estimated on one grid, with one bandwidth: Scott's rule for the distances within the reference,
1.06 s n^(-1/5) of their standard deviation s and the number n of pieces (not of pairs, which are not independent).

Reference: Yang & Lerch (2020), On the Evaluation of Generative Models in Music. Legend: P and Q pieces of two sets, K
values of a feature, D distances, G points of the grid.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

GRID_POINTS = 1024
_MARGIN = 4  # bandwidths at each end of the grid
_LEAST_SHARE = 1e-9  # of the probability, at a point of the grid: keeps the divergence finite


@dataclass(frozen=True)
class Overlap:
    """How the distances from a set to a reference differ from those within the reference."""

    area: float
    """Overlapping area of the two densities: 1 if they are equal, 0 if they are apart."""
    kl_nats: float
    """Divergence of the distances within the reference from those to it: 0 if they are equal."""
    bandwidth: float
    """Of both densities, in the unit of the feature."""


def distances(
    first: Float[np.ndarray, "P K"], second: Float[np.ndarray, "Q K"] | None = None
) -> Float[np.ndarray, " D"]:
    """Euclidean distances of each piece of one set to each of the other; of one set alone, those of its pairs."""
    other = first if second is None else second
    if first.shape[1] == 1:
        found = np.abs(first - other.T)
    else:
        squares = (first**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * first @ other.T
        found = np.sqrt(np.maximum(squares, 0))
    return found[np.triu_indices(len(first), 1)] if second is None else found.ravel()


def overlap(candidate: Float[np.ndarray, "P K"], reference: Float[np.ndarray, "Q K"]) -> Overlap | None:
    """Compare the distances of a set to the reference with those within the reference, for one feature.

    Pieces in which the feature is not defined (NaN) are left out; None if fewer than two of the reference or none of
    the set are left.
    """
    candidate, reference = (rows[np.isfinite(rows).all(axis=1)] for rows in (candidate, reference))
    if len(reference) < 2 or len(candidate) < 1:
        return None
    within, between = distances(reference), distances(candidate, reference)
    spread = float(within.std()) or float(max(within.max(), between.max(), 1e-9)) / GRID_POINTS
    bandwidth = 1.06 * spread * len(reference) ** -0.2
    low = min(within.min(), between.min()) - _MARGIN * bandwidth
    high = max(within.max(), between.max()) + _MARGIN * bandwidth
    bandwidth = max(bandwidth, (high - low) / GRID_POINTS)  # a far set makes the grid coarse
    p, q = (_density(values, low, high, bandwidth) for values in (within, between))
    floor_p, floor_q = (np.maximum(density, _LEAST_SHARE) for density in (p, q))
    return Overlap(float(np.minimum(p, q).sum()), float((p * np.log(floor_p / floor_q)).sum()), bandwidth)


def _density(values: Float[np.ndarray, " D"], low: float, high: float, bandwidth: float) -> Float[np.ndarray, " G"]:
    """A Gaussian kernel density estimate as probabilities of the grid's points, which add up to 1."""
    step = (high - low) / (GRID_POINTS - 1)
    place = (values - low) / step
    below = np.minimum(place.astype(np.int64), GRID_POINTS - 2)
    share = place - below
    counts = np.bincount(below, 1 - share, GRID_POINTS) + np.bincount(below + 1, share, GRID_POINTS)
    reach = min(int(np.ceil(_MARGIN * bandwidth / step)), GRID_POINTS - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / bandwidth) ** 2)
    density = np.convolve(counts, kernel)[reach : reach + GRID_POINTS]
    return density / density.sum()
