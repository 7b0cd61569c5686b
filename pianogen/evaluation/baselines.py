"""Baselines that need no training, on the same targets and under the same grammar mask as the models.

unigram to 5-gram: interpolated Kneser-Ney, see `ngram`; a 5-gram uses two whole pairs.
repeat-last: the latest word in the same role (first of a pair, length of a note, length of a wait) that the mask
admits, or the unigram's choice if there is none. For its likelihood that word is mixed with the unigram, at the share
of train targets of the role that repeat.
"""

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
_FIRST_OF_PAIR, _NOTE_LENGTH, _WAIT_LENGTH = range(3)
_NUM_ROLES = 3


@dataclass(frozen=True, eq=False)
class Baselines:
    """Baselines fitted to train performances."""

    ngrams: dict[str, NGram]
    repeat_share: Float[np.ndarray, " roles"]
    """Share of the train targets of each role that repeat the latest fitting word."""
    allowed: Bool[np.ndarray, "S V"]

    @classmethod
    def fit(cls, train: Performances, mask: Mask) -> "Baselines":
        """Count the train performances once."""
        legal = allowed(mask)
        table = KeyCounts.of(np.zeros(0, np.int64))
        repeats = np.zeros((2, _NUM_ROLES))
        for stream in streams_of(train):
            table += KeyCounts.of(stream.keys(max(ORDERS.values())))
            roles, candidates = _roles(stream), _latest_fitting(stream, legal)
            repeats[0] += np.bincount(roles[candidates == stream.targets], minlength=_NUM_ROLES)
            repeats[1] += np.bincount(roles[candidates != _NOTHING], minlength=_NUM_ROLES)
        ngrams = {name: NGram(table, order, legal) for name, order in ORDERS.items()}
        return cls(ngrams, repeats[0] / (repeats[1] + 1), legal)

    def score(self, performances: Performances) -> dict[str, Counts]:
        """Score every baseline on every target."""
        results = dict.fromkeys([*ORDERS, REPEAT_LAST], Counts.zero())
        for stream in streams_of(performances):
            for name, ngram in self.ngrams.items():
                results[name] += ngram.score(stream)
            results[REPEAT_LAST] += self._score_repeat_last(stream)
        return results

    def _score_repeat_last(self, stream: TargetStream) -> Counts:
        states = np.arange(NUM_STATES)
        unigram = self.ngrams["unigram"].probabilities(np.zeros_like(states), states)
        candidates = _latest_fitting(stream, self.allowed)
        found = candidates != _NOTHING
        share = np.where(found, self.repeat_share[_roles(stream)], 0.0)
        probability = (1 - share) * unigram[stream.target_states, stream.targets]
        probability += share * (candidates == stream.targets)
        predictions = np.where(found, candidates, unigram.argmax(axis=1)[stream.target_states])
        return Counts.of(stream.targets, predictions, stream.groups, -np.log(probability))


def _roles(stream: TargetStream) -> Int[np.ndarray, " N"]:
    is_length = stream.targets >= FIRST_DURATION
    after_wait = stream.before(1) == SEP
    return np.select([~is_length, after_wait], [_FIRST_OF_PAIR, _WAIT_LENGTH], default=_NOTE_LENGTH)


def _latest_fitting(stream: TargetStream, legal: Bool[np.ndarray, "S V"]) -> Int[np.ndarray, " N"]:
    """The latest word in each target's role that the mask admits, or `_NOTHING`."""
    is_note = (stream.words >= FIRST_NOTE) & (stream.words < FIRST_DURATION)
    last_note, last_wait = stream.latest(is_note), stream.latest(stream.words == SEP)
    here, opener = stream.positions, stream.positions - 1
    newer = np.maximum(last_note[here], last_wait[here])
    older = np.minimum(last_note[here], last_wait[here])

    def fitting(positions: Int[np.ndarray, " N"], offset: int = 0) -> Int[np.ndarray, " N"]:
        words = stream.words[positions + offset]
        return np.where((positions >= 0) & legal[stream.target_states, words], words, _NOTHING)

    first_of_pair = np.where(fitting(newer) != _NOTHING, fitting(newer), fitting(older))
    note_length, wait_length = fitting(last_note[opener], 1), fitting(last_wait[opener], 1)
    return np.choose(_roles(stream), [first_of_pair, note_length, wait_length])
