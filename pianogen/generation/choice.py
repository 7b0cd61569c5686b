"""The choice of the next words of a batch: legal words, filters, temperature, Gumbel noise, argmax.

Each filter judges the model's own probabilities, renormalised over the legal words and before any temperature; the
words that pass all of them remain. So their order does not matter, and no temperature can let in what they keep out.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from pianogen.config import GenerateConfig


@dataclass(frozen=True)
class Filters:
    """Which of the legal words may be chosen; None switches a filter off."""

    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    @classmethod
    def of(cls, config: GenerateConfig) -> "Filters":
        """Take the filters out of the settings."""
        return cls(config.top_k, config.top_p, config.min_p)

    def keep(self, scores: Float64[np.ndarray, "B V"]) -> Bool[np.ndarray, "B V"]:
        """Mark the words that stay.

        `scores` are log-probabilities up to a constant: 0 for the likeliest word of a row, -inf for an illegal one.
        """
        kept = scores > -np.inf
        if self.min_p is not None:
            kept &= scores >= np.log(self.min_p)
        if self.top_k is not None or (self.top_p is not None and self.top_p < 1):
            order = np.argsort(-scores, axis=1, kind="stable")  # of equally likely words the lower id comes first
            within = np.empty_like(kept)
            np.put_along_axis(within, order, self._within_rank(np.take_along_axis(scores, order, axis=1)), axis=1)
            kept &= within
        return kept

    def _within_rank(self, ranked: Float64[np.ndarray, "B V"]) -> Bool[np.ndarray, "B V"]:
        within = np.ones(ranked.shape, dtype=bool)
        if self.top_k is not None:
            within[:, self.top_k :] = False
        if self.top_p is not None and self.top_p < 1:  # at 1 nothing is left out, whatever rounding says
            shares = np.exp(ranked)
            shares /= shares.sum(axis=1, keepdims=True)
            within &= np.cumsum(shares, axis=1) - shares < self.top_p  # the word that reaches top_p is the last one in
        return within


def choose(
    logits: Float[np.ndarray, "B V"],
    legal: Bool[np.ndarray, "B V"],
    noise: Float64[np.ndarray, "B V"],
    temperature: Float64[np.ndarray, " B"],
    filters: Filters,
) -> Int[np.ndarray, " B"]:
    """Draw one word a row, with probability proportional to p ** (1 / temperature) over the words that pass.

    `noise` is standard Gumbel. Every row has a legal word and finite logits.
    """
    scores = np.where(legal, logits.astype(np.float64), -np.inf)
    scores -= scores.max(axis=1, keepdims=True)
    kept = filters.keep(scores)
    with np.errstate(over="ignore"):  # a temperature near 0 sends all but the likeliest to -inf, as it should
        scores /= temperature[:, None]
    return np.argmax(np.where(kept, scores + noise, -np.inf), axis=1)
