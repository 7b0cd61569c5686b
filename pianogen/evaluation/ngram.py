"""A back-off n-gram over words: interpolated Kneser-Ney with one discount per order.

The highest order counts how often a word followed its context; each lower one counts in how many longer contexts it
did, which predicts better after an unseen context. Below the lowest order is the uniform distribution.

Reference: Chen & Goodman (1999), An empirical study of smoothing techniques for language modeling, section 2.7.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pianogen.evaluation.counts import Counts
from pianogen.evaluation.target_stream import TargetStream
from pianogen.tokens.grammar import NUM_STATES
from pianogen.tokens.vocab import VOCABULARY_SIZE

_CHUNK = 8192  # contexts whose distributions are held at once: 20 MB


@dataclass(frozen=True, eq=False)
class KeyCounts:
    """Sorted unique keys (a word and those before it, see `TargetStream.keys`) and how often each occurred."""

    keys: Int[np.ndarray, " K"]
    counts: Int[np.ndarray, " K"]

    @classmethod
    def of(cls, keys: Int[np.ndarray, " N"], counts: Int[np.ndarray, " N"] | None = None) -> "KeyCounts":
        """Add up the counts of equal keys; without counts, each key counts once."""
        if counts is None:
            return cls(*np.unique(keys, return_counts=True))
        order = np.argsort(keys, kind="stable")  # merges sorted runs, of which such keys are made, in linear time
        keys = keys[order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        return cls(keys[first], np.add.reduceat(counts[order], first))

    def __add__(self, other: "KeyCounts") -> "KeyCounts":
        return KeyCounts.of(np.concatenate([self.keys, other.keys]), np.concatenate([self.counts, other.counts]))

    def shortened(self, order: int) -> "KeyCounts":
        """The same occurrences with only `order - 1` words of context."""
        return KeyCounts.of(self.keys % VOCABULARY_SIZE**order, self.counts)


class _Order:
    """The counts of one order, grouped by context."""

    def __init__(self, table: KeyCounts) -> None:
        self.words = table.keys % VOCABULARY_SIZE
        self.contexts, self.first_row = np.unique(table.keys // VOCABULARY_SIZE, return_index=True)
        self.num_rows = np.diff(self.first_row, append=len(table.keys))
        total = np.add.reduceat(table.counts, self.first_row)
        discount = _discount(table.counts)
        self.reserved = discount * self.num_rows / total
        self.shares = (table.counts - discount) / np.repeat(total, self.num_rows)

    def interpolate(self, contexts: Int[np.ndarray, " C"], below: Float[np.ndarray, "C V"]) -> Float[np.ndarray, "C V"]:
        """Blend each known context's own shares with the distribution of the order below."""
        found = np.minimum(np.searchsorted(self.contexts, contexts), len(self.contexts) - 1)
        known = np.flatnonzero(self.contexts[found] == contexts)
        found = found[known]
        below[known] *= self.reserved[found, None]
        sizes = self.num_rows[found]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = np.repeat(self.first_row[found], sizes) + within
        below[np.repeat(known, sizes), self.words[rows]] += self.shares[rows]
        return below


class NGram:
    """Next-word distributions from the `order - 1` words before, renormalised under a grammar mask."""

    def __init__(self, table: KeyCounts, order: int, allowed: Bool[np.ndarray, "S V"]) -> None:
        """Take the counts of at least this order, and the words that each grammar state admits."""
        self.order = order
        self._allowed = allowed
        tables = [table.shortened(order)]
        for shorter in range(order - 1, 0, -1):
            tables.append(KeyCounts.of(tables[-1].keys % VOCABULARY_SIZE**shorter))
        self._orders = [_Order(counts) for counts in reversed(tables)]

    def probabilities(self, contexts: Int[np.ndarray, " C"], states: Int[np.ndarray, " C"]) -> Float[np.ndarray, "C V"]:
        """Distribution over the words that the state admits, after each context."""
        weights = self._smoothed(contexts, self.order) * self._allowed[states]
        total = weights.sum(axis=1, keepdims=True)
        return weights / np.where(total > 0, total, 1)  # a dead state admits no word

    def score(self, stream: TargetStream) -> Counts:
        """Predict every target of a stream."""
        contexts = stream.keys(self.order) // VOCABULARY_SIZE
        predictions, nll_nats = np.empty(len(contexts), np.int64), np.empty(len(contexts))
        for cases, rows, members in _chunks(contexts * NUM_STATES + stream.target_states):
            probability = self.probabilities(cases // NUM_STATES, cases % NUM_STATES)
            predictions[members] = probability.argmax(axis=1)[rows]
            with np.errstate(divide="ignore"):  # an illegal target costs infinity
                nll_nats[members] = -np.log(probability[rows, stream.targets[members]])
        return Counts.of(stream.targets, predictions, stream.groups, nll_nats)

    def _smoothed(self, contexts: Int[np.ndarray, " C"], order: int) -> Float[np.ndarray, "C V"]:
        if order == 0:
            return np.full((len(contexts), VOCABULARY_SIZE), 1 / VOCABULARY_SIZE)
        shorter, inverse = np.unique(contexts % VOCABULARY_SIZE ** max(order - 2, 0), return_inverse=True)
        return self._orders[order - 1].interpolate(contexts, self._smoothed(shorter, order - 1)[inverse])


def _discount(counts: Int[np.ndarray, " K"]) -> float:
    """Discount from the numbers of keys seen once and twice; one is added to both, so that it is never 0."""
    once, twice = 1 + int((counts == 1).sum()), 1 + int((counts == 2).sum())
    return once / (once + 2 * twice)


def _chunks(keys: Int[np.ndarray, " N"]) -> Iterator[tuple[Int[np.ndarray, " C"], ...]]:
    """Some distinct keys, and of each place where one of them is, which one, and the place."""
    places = np.argsort(keys)
    keys = keys[places]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    for first in range(0, len(starts), _CHUNK):
        here = starts[first : first + _CHUNK]
        end = starts[first + _CHUNK] if first + _CHUNK < len(starts) else len(keys)
        sizes = np.diff(here, append=end)
        yield keys[here], np.repeat(np.arange(len(here)), sizes), places[here[0] : end]
