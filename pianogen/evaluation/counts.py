"""The result of scoring: sums over targets, which add up over windows, performances and ranks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pianogen.metrics import GROUPS
from pianogen.tokens.vocab import EOS, FIRST_DURATION, SEP, VOCABULARY_SIZE

NUM_GROUPS = len(GROUPS)
NOTE, WAIT, DURATION, END = range(NUM_GROUPS)
FIRST_TARGET = 2  # xxbos and the xxpad after it are given, never predicted
_SHAPE = (NUM_GROUPS, VOCABULARY_SIZE)
_SIZE = NUM_GROUPS * VOCABULARY_SIZE


@dataclass(frozen=True, eq=False)
class Counts:
    """Sums over a set of targets, by the group of the target: note, wait, duration, end."""

    true_positive: Int[np.ndarray, "groups V"]
    """Targets predicted, by word."""
    predicted: Int[np.ndarray, "groups V"]
    """Predictions, by the word predicted and the group of the target."""
    support: Int[np.ndarray, "groups V"]
    """Targets, by word."""
    nll_nats: Float[np.ndarray, " groups"]
    """Negative log-likelihood of the targets, summed."""

    @classmethod
    def of(
        cls,
        targets: Int[np.ndarray, " N"],
        predictions: Int[np.ndarray, " N"],
        groups: Int[np.ndarray, " N"],
        nll_nats: Float[np.ndarray, " N"],
    ) -> "Counts":
        """Count the predictions of a set of targets."""
        hit = targets == predictions
        return cls(
            true_positive=_histogram(groups[hit], targets[hit]),
            predicted=_histogram(groups, predictions),
            support=_histogram(groups, targets),
            nll_nats=np.bincount(groups, weights=nll_nats, minlength=NUM_GROUPS),
        )

    @classmethod
    def zero(cls) -> "Counts":
        """No targets: the counts of a rank without performances."""
        return cls.from_vector(np.zeros(3 * _SIZE + NUM_GROUPS))

    @property
    def targets(self) -> Int[np.ndarray, " groups"]:
        """Targets in each group."""
        return self.support.sum(axis=1)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts.from_vector(self.to_vector() + other.to_vector())

    def to_vector(self) -> Float[np.ndarray, " numbers"]:
        """Everything as one float64 vector, for one all-reduce; exact for counts below 2**53."""
        arrays = (self.true_positive, self.predicted, self.support, self.nll_nats)
        return np.concatenate([array.ravel().astype(np.float64) for array in arrays])

    @classmethod
    def from_vector(cls, vector: Float[np.ndarray, " numbers"]) -> "Counts":
        """Invert `to_vector`."""
        *counts, nll_nats = np.split(vector, [_SIZE, 2 * _SIZE, 3 * _SIZE])
        return cls(*(part.reshape(_SHAPE).astype(np.int64) for part in counts), nll_nats=nll_nats.astype(np.float64))


def groups_of(targets: Int[np.ndarray, " N"], previous: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Group of each target, given the word before it: a length after xxsep belongs to the wait."""
    is_wait = (targets == SEP) | (previous == SEP)
    is_length = targets >= FIRST_DURATION
    return np.select([targets == EOS, is_wait, is_length], [END, WAIT, DURATION], default=NOTE)


def _histogram(groups: Int[np.ndarray, " N"], words: Int[np.ndarray, " N"]) -> Int[np.ndarray, "groups V"]:
    return np.bincount(groups * VOCABULARY_SIZE + words, minlength=_SIZE).reshape(_SHAPE)
