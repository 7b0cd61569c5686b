"""Transposition of a token stream, used as data augmentation in training."""

import numpy as np
from jaxtyping import Bool, Int

from pianogen.errors import TokenError
from pianogen.tokens.vocab import FIRST_NOTE, HIGHEST_PITCH, LOWEST_PITCH, NUM_PITCHES

PITCH_SHIFTS = range(-6, 6)  # semitones; reaches each of the twelve keys once


def possible_shifts(ids: Int[np.ndarray, " T"]) -> tuple[int, int]:
    """The lowest and the highest of PITCH_SHIFTS that keep all notes on the keyboard."""
    pitches = ids[_is_note(ids)] - FIRST_NOTE
    if len(pitches) == 0:
        return PITCH_SHIFTS[0], PITCH_SHIFTS[-1]
    lowest = max(PITCH_SHIFTS[0], LOWEST_PITCH - int(pitches.min()))
    return lowest, min(PITCH_SHIFTS[-1], HIGHEST_PITCH - int(pitches.max()))


def transpose(ids: Int[np.ndarray, " T"], semitones: int) -> Int[np.ndarray, " T"]:
    """Shift every note by semitones; the result has the dtype of `ids`, and the order within groups is kept.

    Raises:
        TokenError: A note would be outside the keyboard.
    """
    is_note = _is_note(ids)
    moved = ids[is_note].astype(np.int64) - FIRST_NOTE + semitones
    if len(moved) and (moved.min() < LOWEST_PITCH or moved.max() > HIGHEST_PITCH):
        raise TokenError(
            f"transposing by {semitones} semitones reaches n{moved.min()}..n{moved.max()}; "
            f"the keyboard is n{LOWEST_PITCH}..n{HIGHEST_PITCH}"
        )
    shifted = ids.copy()
    shifted[is_note] = moved + FIRST_NOTE
    return shifted


def _is_note(ids: Int[np.ndarray, " T"]) -> Bool[np.ndarray, " T"]:
    return (ids >= FIRST_NOTE) & (ids < FIRST_NOTE + NUM_PITCHES)
