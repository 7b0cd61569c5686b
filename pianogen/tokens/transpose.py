"""Transposition of a token stream, used as data augmentation in training."""

import numpy as np
from jaxtyping import Bool, Int

from pianogen.errors import TokenError
from pianogen.tokens.vocab import FIRST_NOTE, HIGHEST_PITCH, LOWEST_PITCH, NUM_PITCHES

PITCH_SHIFTS = range(-6, 6)  # semitones; reaches each of the twelve keys once


def possible_shifts(ids: Int[np.ndarray, " T"]) -> tuple[int, int]:
    """The lowest and the highest of PITCH_SHIFTS that keep all notes on the keyboard."""
    is_note = _is_note(ids)
    if not is_note.any():
        return PITCH_SHIFTS[0], PITCH_SHIFTS[-1]
    lowest, highest = _pitch_range(ids, is_note)
    return max(PITCH_SHIFTS[0], LOWEST_PITCH - lowest), min(PITCH_SHIFTS[-1], HIGHEST_PITCH - highest)


def transpose(ids: Int[np.ndarray, " T"], semitones: int) -> Int[np.ndarray, " T"]:
    """Shift every note by semitones; the result has the dtype of `ids`, and the order within groups is kept.

    Raises:
        TokenError: A note would be outside the keyboard.
    """
    is_note = _is_note(ids)
    lowest, highest = _pitch_range(ids, is_note)
    if is_note.any() and (lowest + semitones < LOWEST_PITCH or highest + semitones > HIGHEST_PITCH):
        raise TokenError(
            f"transposing by {semitones} semitones reaches n{lowest + semitones}..n{highest + semitones}; "
            f"the keyboard is n{LOWEST_PITCH}..n{HIGHEST_PITCH}"
        )
    return shift_notes(ids, semitones)


def shift_notes(ids: Int[np.ndarray, " T"], semitones: int | Int[np.ndarray, " T"]) -> Int[np.ndarray, " T"]:
    """As `transpose`, by semitones that may differ between tokens and are known to be possible."""
    return ids + np.asarray(semitones, ids.dtype) * _is_note(ids)


def _pitch_range(ids: Int[np.ndarray, " T"], is_note: Bool[np.ndarray, " T"]) -> tuple[int, int]:
    limits = np.iinfo(ids.dtype)
    lowest = np.where(is_note, ids, limits.max).min(initial=limits.max)
    highest = np.where(is_note, ids, limits.min).max(initial=limits.min)
    return int(lowest) - FIRST_NOTE, int(highest) - FIRST_NOTE


def _is_note(ids: Int[np.ndarray, " T"]) -> Bool[np.ndarray, " T"]:
    return (ids >= FIRST_NOTE) & (ids < FIRST_NOTE + NUM_PITCHES)
