"""The choice of the next words of a batch: legal words, filters, temperature, Gumbel noise, argmax.

Each filter uses the model's own probabilities, renormalised over the legal words and before any temperature; the words
that pass all of them remain. So the order of the filters does not matter, and no temperature readmits a word.

The noise depends on (seed, piece, position) alone, so that a piece is the same in any batch. Philox is a counter-based
generator: its key is (seed, piece), and each position has 312 numbers of the stream, one for each word. Gumbel noise
added to log-probabilities turns argmax into an exact draw from the distribution.

Reference: Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3; Gumbel (1954).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, UInt64

from pianogen.tokens.vocab import VOCABULARY_SIZE

_KEY_MASK = (1 << 64) - 1  # a key is two 64-bit numbers; a negative seed wraps
_NUMBERS_PER_BLOCK = 4  # Philox4x64
_BLOCKS_PER_POSITION = VOCABULARY_SIZE // _NUMBERS_PER_BLOCK
assert VOCABULARY_SIZE % _NUMBERS_PER_BLOCK == 0, "a position must own whole blocks, or a jump would miss its start"


class NoiseStream:
    """The random bits of one piece, position by position.

    Reading on is ten times cheaper than a new generator, so the stream is kept and jumps only when necessary.
    """

    def __init__(self, seed: int, piece: int) -> None:
        self._stream = np.random.Philox(key=np.array([seed & _KEY_MASK, piece & _KEY_MASK], dtype=np.uint64))
        self._next_position = 0

    def bits(self, position: int) -> UInt64[np.ndarray, " V"]:
        """Random bits for each word at `position` of the token sequence."""
        if position != self._next_position:
            # advance() wraps around 2**256, so that a jump backwards is one forwards
            self._stream.advance((position - self._next_position) * _BLOCKS_PER_POSITION % (1 << 256))
        self._next_position = position + 1
        return self._stream.random_raw(VOCABULARY_SIZE)


def gumbel(bits: UInt64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Turn random bits into standard Gumbel noise, always finite."""
    # 52 of the bits and a half are strictly between 0 and 1, both of which would be infinite
    uniform = ((bits >> np.uint64(12)) + 0.5) * 2.0**-52
    return -np.log(-np.log(uniform))


@dataclass(frozen=True)
class Filters:
    """Which of the legal words may be chosen; None switches a filter off."""

    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def keep(self, scores: Float64[np.ndarray, "B V"]) -> Bool[np.ndarray, "B V"]:
        """Mark the words that remain.

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
        if self.top_p is not None and self.top_p < 1:  # at 1 no word is filtered, despite rounding
            shares = np.exp(ranked)
            shares /= shares.sum(axis=1, keepdims=True)
            # the word that reaches top_p is the last one kept
            within &= np.cumsum(shares, axis=1) - shares < self.top_p
        return within


def choose(
    logits: Float[np.ndarray, "B V"],
    legal: Bool[np.ndarray, "B V"],
    noise: Float64[np.ndarray, "B V"],
    temperature: Float64[np.ndarray, " B"],
    filters: Filters,
) -> Int[np.ndarray, " B"]:
    """Draw one word per row, with probability proportional to p ** (1 / temperature) over the words that pass.

    `noise` is standard Gumbel. Every row has a legal word and finite logits.
    """
    scores = np.where(legal, logits.astype(np.float64), -np.inf)
    scores -= scores.max(axis=1, keepdims=True)
    kept = filters.keep(scores)
    with np.errstate(over="ignore"):  # a temperature near 0 correctly turns all but the likeliest into -inf
        scores /= temperature[:, None]
    return np.argmax(np.where(kept, scores + noise, -np.inf), axis=1)
