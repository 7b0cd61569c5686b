"""Pieces whose measures are known beforehand: what docs/metrics.md shows and the tests demand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pianogen.config import TokenizerConfig
from pianogen.randomness import RandomStream, generator
from pianogen.tokens.notes import Notes, canonical, quantise
from pianogen.tokens.read import read_performance
from pianogen.tokens.vocab import HIGHEST_PITCH, LOWEST_PITCH

_STEPS_PER_MINUTE = 480
_MAX_RANDOM_LENGTH = 16  # steps: 2 s
CHORALE = "bach/bwv66.6"


def metronome() -> Notes:
    """Middle C on every beat for a minute, each held until the next."""
    onset = np.arange(0, _STEPS_PER_MINUTE, 4)
    return Notes(onset, np.full(len(onset), 4), np.full(len(onset), 60))


def one_note() -> Notes:
    """Middle C for a beat."""
    return Notes(np.array([0]), np.array([4]), np.array([60]))


def silence() -> Notes:
    """No notes."""
    return Notes(*(np.empty(0, np.int64) for _ in range(3)))


def uniform_random(num_notes: int = 600, num_steps: int = _STEPS_PER_MINUTE, seed: int = 0, piece: int = 0) -> Notes:
    """Notes with onset, pitch (A0 to C8) and length (one sixteenth to a whole note) drawn uniformly."""
    random = generator(seed, RandomStream.NOISE, piece)
    onset = random.integers(0, max(num_steps, 1), num_notes)
    duration = random.integers(1, _MAX_RANDOM_LENGTH + 1, num_notes)
    return canonical(onset, duration, random.integers(LOWEST_PITCH, HIGHEST_PITCH + 1, num_notes))


def sparse_random() -> Notes:
    """Forty random notes in a minute."""
    return uniform_random(40)


def chorale() -> Notes:
    """Bach's chorale BWV 66.6, of music21's corpus."""
    from music21 import corpus

    return quantise(read_performance(Path(str(corpus.getWork(CHORALE)))), TokenizerConfig())[0]


EXTREMES: dict[str, Callable[[], Notes]] = {
    "metronome": metronome,
    "random": uniform_random,
    "sparse random": sparse_random,
    "one note": one_note,
    "chorale": chorale,
    "silence": silence,
}
