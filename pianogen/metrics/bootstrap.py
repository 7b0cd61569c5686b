"""Paired bootstrap over performances: how much of a difference between models depends on which performances were drawn.

Performances are drawn with replacement, the same ones for every model. Legend: P performances, V words, D draws.

Reference: Efron & Tibshirani (1993), An Introduction to the Bootstrap; Koehn (2004), Statistical Significance Tests for
Machine Translation Evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pianogen.randomness import RandomStream, mix, stream_key

MEASURES = ("nll", "accuracy", "weighted_f1")
NUM_DRAWS = 10_000
_DRAWS_AT_ONCE = 1000  # bounds memory: 312 words take 2.5 MB for each array


@dataclass(frozen=True, eq=False)
class PerformanceSums:
    """What a model's predictions add up to on each performance; the end (xxeos) is in the NLL alone."""

    true_positive: Int[np.ndarray, "P V"]
    """Targets predicted, by word."""
    predicted: Int[np.ndarray, "P V"]
    support: Int[np.ndarray, "P V"]
    """Targets, by word."""
    nll_nats: Float[np.ndarray, " P"]
    targets: Int[np.ndarray, " P"]
    """Targets of the NLL, the end included."""

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Interval:
    """A difference on the performances themselves, and the middle 95 % of the same over the draws."""

    difference: float
    low: float
    high: float


def measures(sums: PerformanceSums, weights: Float[np.ndarray, "D P"]) -> Float[np.ndarray, "D measures"]:
    """The measures in the order of `MEASURES`, with each performance counted as often as its weight says.

    NLL in nats per token; weighted F1 as `classification.averages` defines it.
    """
    occurring = sums.support.any(axis=0) | sums.predicted.any(axis=0)
    hit, predicted, support = (
        weights @ counts[:, occurring].astype(np.float64)
        for counts in (sums.true_positive, sums.predicted, sums.support)
    )
    total = support.sum(axis=1)
    f1 = 2 * hit / np.maximum(predicted + support, 1)
    nll = weights @ sums.nll_nats / (weights @ sums.targets)
    return np.stack([nll, hit.sum(axis=1) / total, (support * f1).sum(axis=1) / total], axis=1)


def draw_weights(performances: int, draws: int, seed: int) -> Float[np.ndarray, "D P"]:
    """How often each performance is drawn, in each of `draws` draws of as many as there are."""
    numbers = np.arange(draws * performances, dtype=np.uint64)
    drawn = mix(numbers + np.uint64(stream_key(seed, RandomStream.BOOTSTRAP))) % np.uint64(performances)
    places = numbers // np.uint64(performances) * np.uint64(performances) + drawn
    counts = np.bincount(places.astype(np.int64), minlength=len(numbers))
    return counts.reshape(draws, performances).astype(np.float64)


def sample_and_draw_weights(performances: int, draws: int, seed: int) -> Float[np.ndarray, "1+D P"]:
    """Each performance once, the sample itself, and below it the draws of `draw_weights`."""
    return np.concatenate([np.ones((1, performances)), draw_weights(performances, draws, seed)])


def resampled(sums: PerformanceSums, draws: int = NUM_DRAWS, seed: int = 0) -> Float[np.ndarray, "1+D measures"]:
    """The measures on the performances themselves, then on each draw; the same seed draws the same performances."""
    weights = sample_and_draw_weights(len(sums), draws, seed)
    parts = (weights[start : start + _DRAWS_AT_ONCE] for start in range(0, len(weights), _DRAWS_AT_ONCE))
    return np.concatenate([measures(sums, part) for part in parts])


def intervals(
    first: Sequence[Float[np.ndarray, "1+D measures"]], second: Sequence[Float[np.ndarray, "1+D measures"]]
) -> dict[str, Interval]:
    """The second model minus the first, by measure; of several runs of a model (seeds), their mean in each draw.

    The runs themselves are not drawn: the intervals say nothing about other seeds.
    """
    differences = np.mean(second, axis=0) - np.mean(first, axis=0)
    low, high = np.quantile(differences[1:], [0.025, 0.975], axis=0)
    columns = zip(MEASURES, differences[0].tolist(), low.tolist(), high.tolist(), strict=True)
    return {name: Interval(*values) for name, *values in columns}
