"""The key that fits a piece best, and how pitches are spelled in it."""

from typing import TYPE_CHECKING

import numpy as np

from pianogen.tokens.notes import Notes

if TYPE_CHECKING:
    from music21.pitch import Pitch

_MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_LETTERS_BY_FIFTHS = "FCGDAEB"


def key_fifths(notes: Notes) -> int:
    """Sharps (negative for flats) of the key that best fits the pitch-class durations.

    Reference: Krumhansl (1990), Cognitive Foundations of Musical Pitch.
    """
    sounding = np.bincount(notes.pitch % 12, weights=notes.duration, minlength=12)
    best, fifths = -np.inf, 0
    for profile, to_relative_major in ((_MAJOR_PROFILE, 0), (_MINOR_PROFILE, 3)):
        weights = (np.array(profile) - np.mean(profile)) / np.std(profile)
        for tonic in range(12):
            fit = float(weights @ np.roll(sounding, -tonic))
            if fit > best:
                best, fifths = fit, (7 * (tonic + to_relative_major) + 5) % 12 - 5
    return fifths


def spelled(pitch: int, fifths: int) -> "Pitch":
    """Spell a pitch as near to the key as possible on the line of fifths: from a minor third to an augmented fifth."""
    from music21.pitch import Accidental, Pitch

    lowest = fifths - 3
    above_c = (7 * (pitch % 12) - lowest) % 12 + lowest  # in fifths
    sharps = (above_c + 1) // 7
    named = Pitch(_LETTERS_BY_FIFTHS[(above_c + 1) % 7])
    if sharps:
        named.accidental = Accidental(sharps)
    named.octave = (pitch - sharps) // 12 - 1
    return named
