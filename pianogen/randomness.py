"""Every random stream of the program by name, and the key that starts a place of it.

A key is a function of (seed, stream, place): there is no generator state to save, and two streams share no key, because
the stream stands right behind the seed. Pieces are drawn from another generator, numpy's Philox under (seed, piece) in
`pianogen.generation.draws`, which no key of this file starts.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import UInt64


class RandomStream(IntEnum):
    """What is drawn, and what tells its places apart. A number once given stays, or runs would go on otherwise."""

    ORDER = 1
    """Permutation of performances or excerpts: (epoch)."""
    TRANSPOSITION = 2
    """Shift of a training performance: (epoch, performance)."""
    SUBSAMPLE = 3
    """Performances that `data.fraction` keeps: ()."""
    WEIGHTS = 4
    """Initial weights: ()."""
    DROPOUT = 5
    """Units dropped in a training step: (step, rank)."""
    EVALUATED = 6
    """Performances that stand for the training split in `evaluate`: ()."""
    TRIAL = 7
    """What a sweep's sampler chooses for a trial: (trial)."""
    ROUND = 8
    """Rounds of a permutation, whose own key is the seed: (round)."""


def stream_key(seed: int, stream: RandomStream, *place: int) -> int:
    """Fold a seed, a stream and a place in it into one 64-bit key that changes wholly with each of them."""
    key = np.zeros(1, np.uint64)
    for part in (seed, stream, *place):
        key = mix(key + np.uint64(0x9E3779B97F4A7C15) + mix(np.array([part & (2**64 - 1)], np.uint64)))
    return int(key[0])


def mix(values: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """Scatter 64-bit integers, one to one (the finaliser of splitmix64).

    Reference: Steele, Lea & Flood (2014), Fast Splittable Pseudorandom Number Generators.
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
