"""Baselines that need no training, on the same targets and under the same grammar mask as the models.

unigram to 5-gram: interpolated Kneser-Ney, see `ngram`; a 5-gram uses two whole pairs.
repeat-last: the latest word in the same role (first of a pair, length of a note, length of a wait) that the mask
admits, or the unigram's choice if there is none. For its likelihood that word is mixed with the unigram, at the share
of train targets of the role that repeat.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pianogen.config import Mask
from pianogen.evaluation.counts import Counts
from pianogen.evaluation.ngram import KeyCounts, NGram
from pianogen.evaluation.target_stream import Performances, TargetStream, streams_of
from pianogen.tokens.grammar import NUM_STATES, allowed
from pianogen.tokens.vocab import FIRST_DURATION, FIRST_NOTE, SEP

ORDERS = {"unigram": 1, "bigram": 2, "4-gram": 4, "5-gram": 5}
REPEAT_LAST = "repeat-last"
_NOTHING = -1  # no earlier word fits
_THREADS = 2  # numpy sorts and adds outside of Python's lock; each thread holds 100 MB
_FIRST_OF_PAIR, _NOTE_LENGTH, _WAIT_LENGTH = range(3)
NUM_ROLES = 3
MAX_ORDER = max(ORDERS.values())


@dataclass(frozen=True, eq=False)
class Fit:
    """What the baselines count in the train performances."""

    table: KeyCounts
    """Every target with the `MAX_ORDER - 1` words before it."""
    repeat_share: Float[np.ndarray, " roles"]
    """Share of the targets of each role that repeat the latest fitting word."""

    @classmethod
    def of(cls, train: Performances, mask: Mask) -> "Fit":
        """Count the train performances once."""
        legal = allowed(mask)
        table = KeyCounts.of(np.zeros(0, np.int64))
        repeats = np.zeros((2, NUM_ROLES))
        for stream in streams_of(train):
            table += KeyCounts.of(stream.keys(MAX_ORDER))
            roles = _roles(stream)
            candidates = _latest_fitting(stream, roles, legal)
            repeats[0] += np.bincount(roles[candidates == stream.targets], minlength=NUM_ROLES)
            repeats[1] += np.bincount(roles[candidates != _NOTHING], minlength=NUM_ROLES)
        return cls(table, repeats[0] / (repeats[1] + 1))


@dataclass(frozen=True, eq=False)
class Baselines:
    """Baselines fitted to train performances."""

    ngrams: dict[str, NGram]
    repeat_share: Float[np.ndarray, " roles"]
    """Share of the train targets of each role that repeat the latest fitting word."""
    allowed: Bool[np.ndarray, "S V"]

    @classmethod
    def of(cls, fit: Fit, mask: Mask) -> "Baselines":
        """The baselines that follow from a fit under the same mask."""
        legal = allowed(mask)
        ngrams = {name: NGram(fit.table, order, legal) for name, order in ORDERS.items()}
        return cls(ngrams, fit.repeat_share, legal)

    @classmethod
    def fit(cls, train: Performances, mask: Mask) -> "Baselines":
        """Fit to train performances."""
        return cls.of(Fit.of(train, mask), mask)

    def score(self, performances: Performances) -> dict[str, Counts]:
        """Score every baseline on every target."""
        ways = {name: ngram.score for name, ngram in self.ngrams.items()} | {REPEAT_LAST: self._score_repeat_last}
        results = dict.fromkeys(ways, Counts.zero())
        with ThreadPoolExecutor(_THREADS) as pool:
            for stream in streams_of(performances):
                found = pool.map(lambda way, stream=stream: way(stream), ways.values())
                for name, counts in zip(ways, found, strict=True):
                    results[name] += counts
        return results

    def _score_repeat_last(self, stream: TargetStream) -> Counts:
        states, roles = np.arange(NUM_STATES), _roles(stream)
        unigram = self.ngrams["unigram"].probabilities(np.zeros_like(states), states)
        candidates = _latest_fitting(stream, roles, self.allowed)
        found = candidates != _NOTHING
        share = np.where(found, self.repeat_share[roles], 0.0)
        probability = (1 - share) * unigram[stream.target_states, stream.targets]
        probability += share * (candidates == stream.targets)
        predictions = np.where(found, candidates, unigram.argmax(axis=1)[stream.target_states])
        return Counts.of(stream.targets, predictions, stream.groups, -np.log(probability))


def _roles(stream: TargetStream) -> Int[np.ndarray, " N"]:
    is_length = stream.targets >= FIRST_DURATION
    after_wait = stream.before(1) == SEP
    return np.select([~is_length, after_wait], [_FIRST_OF_PAIR, _WAIT_LENGTH], default=_NOTE_LENGTH)


def _latest_fitting(
    stream: TargetStream, roles: Int[np.ndarray, " N"], legal: Bool[np.ndarray, "S V"]
) -> Int[np.ndarray, " N"]:
    """The latest word in each target's role that the mask admits, or `_NOTHING`."""
    is_note = (stream.words >= FIRST_NOTE) & (stream.words < FIRST_DURATION)
    last_note, last_wait = stream.latest(is_note), stream.latest(stream.words == SEP)
    here, opener = stream.positions, stream.positions - 1
    first_row, legal_words = stream.target_states * legal.shape[1], legal.ravel()

    def fitting(positions: Int[np.ndarray, " N"], offset: int = 0) -> Int[np.ndarray, " N"]:
        words = stream.words[positions + offset]
        return np.where((positions >= 0) & legal_words[first_row + words], words, _NOTHING)

    newer = fitting(np.maximum(last_note[here], last_wait[here]))
    older = fitting(np.minimum(last_note[here], last_wait[here]))
    first_of_pair = np.where(newer != _NOTHING, newer, older)
    note_length, wait_length = fitting(last_note[opener], 1), fitting(last_wait[opener], 1)
    return np.choose(roles, [first_of_pair, note_length, wait_length])
