"""Performances concatenated in one array, with the position of every target: the input of the baselines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from jaxtyping import Bool, Int

from pianogen.evaluation.counts import FIRST_TARGET, groups_of
from pianogen.tokens.grammar import states_of
from pianogen.tokens.vocab import PAD, VOCABULARY_SIZE

Performances = Sequence[Int[np.ndarray, " T"]]
BLOCK_TOKENS = 1 << 21  # bounds memory: a stream of this length takes about 100 MB


@dataclass(frozen=True, eq=False)
class TargetStream:
    """Whole performances, one after the other."""

    words: Int[np.ndarray, " T"]
    states: Int[np.ndarray, " T"]
    """Grammar state in which each word is chosen."""
    index: Int[np.ndarray, " T"]
    """Index of each word in its own performance."""

    @classmethod
    def of(cls, performances: Performances) -> "TargetStream":
        """Concatenate performances."""
        return cls(
            words=np.concatenate(performances).astype(np.int64),
            states=np.concatenate([states_of(ids) for ids in performances]),
            index=np.concatenate([np.arange(len(ids)) for ids in performances]),
        )

    @cached_property
    def positions(self) -> Int[np.ndarray, " N"]:
        """Positions of the targets."""
        return np.flatnonzero(self.index >= FIRST_TARGET)

    @cached_property
    def targets(self) -> Int[np.ndarray, " N"]:
        """The word of every target."""
        return self.words[self.positions]

    @cached_property
    def target_states(self) -> Int[np.ndarray, " N"]:
        """Grammar state in which every target is chosen."""
        return self.states[self.positions].astype(np.int64)

    @cached_property
    def groups(self) -> Int[np.ndarray, " N"]:
        """Group of every target."""
        return groups_of(self.targets, self.before(1))

    def before(self, distance: int) -> Int[np.ndarray, " N"]:
        """The word `distance` positions before every target; PAD before the start of its performance."""
        return self._shifted(distance)[self.positions]

    def keys(self, order: int) -> Int[np.ndarray, " N"]:
        """Every target with the `order - 1` words before it as one number, the target in the last digit."""
        keys = self.words.copy()
        for back in range(1, order):
            keys += self._shifted(back) * VOCABULARY_SIZE**back
        return keys[self.positions]

    def _shifted(self, distance: int) -> Int[np.ndarray, " T"]:
        words = np.concatenate([np.full(distance, PAD), self.words])[: len(self.words)]
        words[self.index < distance] = PAD
        return words

    def latest(self, among: Bool[np.ndarray, " T"]) -> Int[np.ndarray, " T"]:
        """Position of the last word before each position, in the same performance, that is `among`; -1 if none."""
        positions = np.arange(len(self.words))
        seen = np.maximum.accumulate(np.where(among, positions, -1))
        last = np.concatenate([[-1], seen[:-1]])
        return np.where(last >= positions - self.index, last, -1)


def streams_of(performances: Performances) -> Iterator[TargetStream]:
    """Streams of about `BLOCK_TOKENS`, over whole performances, so that memory stays bounded."""
    ends = np.cumsum([len(ids) for ids in performances])
    for _, members in groupby(range(len(ends)), key=lambda index: ends[index] // BLOCK_TOKENS):
        yield TargetStream.of([performances[index] for index in members])
