"""A Frechet distance between two sets of pieces, on the measures of pianogen.metrics.music, with its interval.

The features of a window are measures of one value, in standard deviations of the reference. Where one is not defined
it is 0, the reference's mean, and the share of measures that are defined is a feature itself. Covariances are shrunk
towards a multiple of the identity, since windows are few. Pieces, not windows, are drawn by the bootstrap.

References: Dowson & Landau (1982), The Frechet Distance between Multivariate Normal Distributions; Ledoit & Wolf
(2004), A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices. Legend: N windows, P pieces, D draws, K
features.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pianogen.metrics.bootstrap import sample_and_draw_weights

_LEAST_DEFINED_STD = 0.05  # of the share of measures that are defined, which may not vary in the reference


@dataclass(frozen=True, eq=False)
class Sample:
    """Features of the windows of a set of pieces."""

    features: Float[np.ndarray, "N K"]
    """NaN where one is not defined."""
    piece: Int[np.ndarray, " N"]
    """The piece of each window, from 0."""
    num_pieces: int


@dataclass(frozen=True)
class FrechetDistance:
    """The squared Frechet distance of two sets, and the middle 95 % of the same over draws of their pieces.

    Sets of few pieces look farther apart than they are, and draws of them even more: so the draws are moved to have the
    distance itself as their median.
    """

    distance: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class _Moments:
    """Sums over the windows of each piece, so that a draw of pieces is a weighted sum."""

    number: Float[np.ndarray, " P"]
    total: Float[np.ndarray, "P K"]
    products: Float[np.ndarray, "P K K"]
    shrinkage: float

    def drawn(self, weights: Float[np.ndarray, "D P"]) -> tuple[Float[np.ndarray, "D K"], Float[np.ndarray, "D K K"]]:
        """Mean and shrunk covariance with each piece counted as often as its weight says."""
        number = (weights @ self.number)[:, None]
        mean = weights @ self.total / number
        num_pieces, size = self.total.shape
        products = (weights @ self.products.reshape(num_pieces, -1) / number).reshape(-1, size, size)
        covariance = products - mean[:, :, None] * mean[:, None, :]
        level = np.trace(covariance, axis1=1, axis2=2)[:, None, None] / size
        return mean, (1 - self.shrinkage) * covariance + self.shrinkage * level * np.eye(size)


def frechet(candidate: Sample, reference: Sample, *, draws: int = 200, seed: int = 0) -> FrechetDistance | None:
    """Squared distance of a set to the reference, 0 if mean and covariance are equal; None without windows in both."""
    if not len(candidate.features) or len(reference.features) < 2:
        return None
    first, second = (_moments(*rows) for rows in _standardised(candidate, reference))
    weights = [_weights(one.number, draws, seed + index) for index, one in enumerate((first, second))]
    found = _distances(*first.drawn(weights[0]), *second.drawn(weights[1]))
    distance, drawn = float(found[0]), found[1:]
    low, high = np.quantile(drawn, [0.025, 0.975]) - np.median(drawn) if draws else (0.0, 0.0)
    return FrechetDistance(distance, max(distance + float(low), 0.0), distance + float(high))


def _weights(number: Float[np.ndarray, " P"], draws: int, seed: int) -> Float[np.ndarray, "1+D P"]:
    """All pieces, then draws of them; a draw of pieces without windows is replaced by all of them."""
    weights = sample_and_draw_weights(len(number), draws, seed)
    weights[weights @ number < 1] = 1
    return weights


def _standardised(candidate: Sample, reference: Sample) -> list[tuple[Float[np.ndarray, "N K"], Sample]]:
    """Both in standard deviations of the reference, without the features that it does not have."""
    with np.errstate(invalid="ignore", divide="ignore"):
        known = np.isfinite(reference.features)
        number = known.sum(axis=0)
        filled = np.where(known, reference.features, 0)
        mean = filled.sum(axis=0) / number
        std = np.sqrt((np.where(known, filled - mean, 0) ** 2).sum(axis=0) / number)
    kept = (number > 1) & (std > 0)
    share = known[:, kept].mean(axis=1) if kept.any() else np.ones(len(known))
    centre, scale = share.mean(), max(float(share.std()), _LEAST_DEFINED_STD)
    rows = []
    for sample in (candidate, reference):
        values = (sample.features[:, kept] - mean[kept]) / std[kept]
        defined = np.isfinite(values)
        shares = (defined.mean(axis=1) if kept.any() else np.ones(len(values))) - centre
        rows.append((np.column_stack([np.where(defined, values, 0), shares / scale]), sample))
    return rows


def _moments(rows: Float[np.ndarray, "N K"], sample: Sample) -> _Moments:
    size = rows.shape[1]
    number = np.bincount(sample.piece, minlength=sample.num_pieces).astype(np.float64)
    total, products = np.zeros((sample.num_pieces, size)), np.zeros((sample.num_pieces, size, size))
    order = np.argsort(sample.piece, kind="stable")
    ends = np.cumsum(number).astype(int)
    for piece, (end, num) in enumerate(zip(ends.tolist(), number.astype(int).tolist(), strict=True)):
        of_piece = rows[order[end - num : end]]
        total[piece], products[piece] = of_piece.sum(axis=0), of_piece.T @ of_piece
    return _Moments(number, total, products, shrinkage(rows))


def shrinkage(rows: Float[np.ndarray, "N K"]) -> float:
    """Ledoit & Wolf's weight of the identity in the covariance, from 0 to 1."""
    number, size = rows.shape
    centred = rows - rows.mean(axis=0)
    covariance = centred.T @ centred / number
    level = np.trace(covariance) / size
    spread = ((covariance - level * np.eye(size)) ** 2).sum()
    squares = (centred**2).sum(axis=1)
    error = ((squares**2).sum() / number - (covariance**2).sum()) / number
    return float(min(max(error, 0) / spread, 1)) if spread > 0 else 1.0


def _distances(
    mean: Float[np.ndarray, "D K"],
    covariance: Float[np.ndarray, "D K K"],
    other_mean: Float[np.ndarray, "D K"],
    other: Float[np.ndarray, "D K K"],
) -> Float[np.ndarray, " D"]:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))."""
    values, vectors = np.linalg.eigh(other)
    root = (vectors * np.sqrt(np.maximum(values, 0))[:, None, :]) @ vectors.transpose(0, 2, 1)
    product = root @ covariance @ root
    crossed = np.sqrt(np.maximum(np.linalg.eigvalsh(product), 0)).sum(axis=1)
    traces = np.trace(covariance, axis1=1, axis2=2) + np.trace(other, axis1=1, axis2=2)
    return np.maximum(((mean - other_mean) ** 2).sum(axis=1) + traces - 2 * crossed, 0)
