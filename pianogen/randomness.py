"""The random streams of the program, and the key of each draw.

A key is a function of (seed, stream, indices), so there is no generator state to save. Two streams share no key, as the
stream directly follows the seed. Pieces are sampled with numpy's Philox under (seed, piece), see
`pianogen.generation.choice`, which uses no key of this file.
"""

from enum import IntEnum
from functools import lru_cache

import numpy as np
from jaxtyping import Int, UInt64
from numpy.random import Generator, Philox


class RandomStream(IntEnum):
    """What is drawn, and by which indices. Numbers must not change, or runs would resume with other draws."""

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
    """Performances that represent the training split in `evaluate`: ()."""
    TRIAL = 7
    """What a sweep's sampler chooses for a trial: (trial)."""
    ROUND = 8
    """Rounds of a permutation, whose own key is the seed: (round)."""
    BOOTSTRAP = 9
    """Performances that the draws of a bootstrap take: ()."""
    NOISE = 20
    """Notes of a random piece, against which pieces are judged: (piece)."""
    JUDGED = 21
    """Pieces or windows that represent a set that is judged: (what)."""
    STUDY_PROMPTS = 30
    """Order in which test performances become prompts of a listening study: ()."""
    STUDY_NAMES = 31
    """Names of its clips: ()."""
    STUDY_ANCHOR = 32
    """Times of the notes of a low anchor: (stimulus)."""
    STUDY_CHECK = 33
    """Notes and order of its sound or attention checks: (clips before them)."""
    STUDY_SESSION = 34
    """Places of the repeated clip and of the attention check: (session)."""
    STUDY_POWER = 35
    """Simulated ratings that its power is computed from: (study)."""
    STUDY_ANALYSIS = 36
    """Draws of the bootstrap and changes of sign in a listening study's results: (what)."""
    STUDY_RATER = 37
    """Ratings of simulated raters: (what, rater)."""
    STUDY_COVERAGE = 38
    """Simulated studies whose intervals are compared with the truth: (study)."""


def stream_key(seed: int, stream: RandomStream, *indices: int) -> int:
    """Hash a seed, a stream and the indices of a draw into a 64-bit key."""
    key = 0
    for part in (seed, stream, *indices):
        key = int(_extended(key, np.array([part & (2**64 - 1)], np.uint64))[0])
    return key


def generator(seed: int, stream: RandomStream, *indices: int) -> Generator:
    """numpy's generator for the draws of a stream, counted from the first."""
    return Generator(Philox(stream_key(seed, stream, *indices)))


def stream_keys(
    seed: int, stream: RandomStream, index: int, last_indices: Int[np.ndarray, " N"]
) -> UInt64[np.ndarray, " N"]:
    """The keys of many draws (index, last index)."""
    return _extended(_cached_key(seed, stream, index), last_indices.astype(np.uint64))


def _extended(key: int, parts: UInt64[np.ndarray, " N"]) -> UInt64[np.ndarray, " N"]:
    return mix(np.uint64((key + 0x9E3779B97F4A7C15) & (2**64 - 1)) + mix(parts))


_cached_key = lru_cache(stream_key)


def mix(values: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """Scatter 64-bit integers, one to one (the finaliser of splitmix64).

    Reference: Steele, Lea & Flood (2014), Fast Splittable Pseudorandom Number Generators.
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
