"""Which pitches are played."""

import numpy as np
from jaxtyping import Float

from pianogen.metrics.music.metric import entropy_bits, metric
from pianogen.metrics.music.windows import NUM_PITCHES, PITCH_CLASSES, Windows

_YANG = "Yang & Lerch (2020)"
_WU = "Wu & Yang (2020)"
_NO_NOTES = "no notes"
_LAST = NUM_PITCHES - 1

_MAJOR = [0, 2, 4, 5, 7, 9, 11]
_SCALES = np.array([[(pitch - tonic) % 12 in _MAJOR for pitch in range(12)] for tonic in range(12)], np.float64)
# the mean share of the best scale over many draws of n notes with random pitch classes; a test draws them again
_CHANCE_NOTES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024, 4096, 16384)
_CHANCE_SHARE = (
    *(1.0, 1.0, 0.9536, 0.9090, 0.8633, 0.8310, 0.7889, 0.7633, 0.7315),
    *(0.7122, 0.6891, 0.6752, 0.6485, 0.6296, 0.6161, 0.6065, 0.5949, 0.5891),
)
_LEAST_SCALE = -2.45  # of five notes, a semitone apart


@metric("pitches", 0, 88, reference=_YANG)
def pitch_count(windows: Windows) -> np.ndarray:
    """Number of different pitches."""
    return (windows.pitch_counts > 0).sum(axis=1)


@metric("semitones", 0, 87, reference=_YANG, undefined=_NO_NOTES)
def pitch_range(windows: Windows) -> np.ndarray:
    """Highest pitch minus lowest pitch."""
    played = windows.pitch_counts > 0
    highest, lowest = _LAST - np.argmax(played[:, ::-1], axis=1), np.argmax(played, axis=1)
    return np.where(played.any(axis=1), highest - lowest, np.nan)


@metric("MIDI pitch", 21, 108, undefined=_NO_NOTES)
def pitch_mean(windows: Windows) -> np.ndarray:
    """Mean pitch of the notes."""
    return windows.pitch_counts @ np.arange(NUM_PITCHES) / windows.num_notes


@metric("bits", 0, np.log2(88), reference="muspy", undefined=_NO_NOTES)
def pitch_entropy(windows: Windows) -> np.ndarray:
    """Shannon entropy of the histogram of pitches: 0 for one pitch."""
    return entropy_bits(windows.pitch_counts)


@metric("bits", 0, np.log2(12), reference=_WU + ", H1", undefined=_NO_NOTES)
def pitch_class_entropy(windows: Windows) -> np.ndarray:
    """Shannon entropy of the histogram of pitch classes: 0 for one pitch class, 3.585 for twelve alike."""
    return entropy_bits(windows.pitch_class_counts)


@metric("share", 0, 1, reference=_YANG, undefined=_NO_NOTES, size=PITCH_CLASSES)
def pitch_class_histogram(windows: Windows) -> np.ndarray:
    """Share of the notes in each pitch class, from C."""
    return windows.pitch_class_counts / windows.num_notes[:, None]


def _top_transitions(windows: Windows) -> Float[np.ndarray, "W 12 12"]:
    """Counts of successive pitch classes of the highest note at each onset."""
    notes, window = windows.notes, windows.of_note
    top = np.flatnonzero(np.diff(notes.onset, prepend=-1) > 0)  # highest first at each onset
    pitch_class, of_top = notes.pitch[top] % PITCH_CLASSES, window[top]
    same = of_top[1:] == of_top[:-1]
    places = (of_top[1:] * PITCH_CLASSES + pitch_class[:-1]) * PITCH_CLASSES + pitch_class[1:]
    counts = np.bincount(places[same], minlength=windows.num * PITCH_CLASSES**2)
    return counts.reshape(windows.num, PITCH_CLASSES, PITCH_CLASSES).astype(np.float64)


@metric("share", 0, 1, reference=_YANG, undefined="fewer than two onsets", size=PITCH_CLASSES**2)
def pitch_class_transitions(windows: Windows) -> np.ndarray:
    """Share of each pair of pitch classes among the successive highest notes of the onsets (12 x 12, from C)."""
    counts = _top_transitions(windows)
    return counts / counts.sum(axis=(1, 2), keepdims=True)


@metric("bits", 0, np.log2(12), undefined="fewer than two onsets")
def transition_entropy(windows: Windows) -> np.ndarray:
    """Conditional entropy of the next pitch class of the highest notes, given the present one: 0 if it is certain."""
    counts = _top_transitions(windows)
    given = counts.sum(axis=2)
    joint = entropy_bits(counts.reshape(windows.num, PITCH_CLASSES**2))
    return np.maximum(joint - entropy_bits(given), 0)


def _chance(num_notes: np.ndarray) -> np.ndarray:
    return np.interp(np.log(np.maximum(num_notes, 1)), np.log(_CHANCE_NOTES), _CHANCE_SHARE)


@metric("1", _LEAST_SCALE, 1, reference="muspy, corrected for chance", undefined="fewer than four notes")
def scale_consistency(windows: Windows) -> np.ndarray:
    """Share of the notes in the major scale that holds most of them, s, corrected for the share c that as many notes
    of random pitch class have on average: (s - c) / (1 - c). 1 in one scale, 0 as random notes, however few.
    """
    share = (windows.pitch_class_counts @ _SCALES.T).max(axis=1, initial=0) / windows.num_notes
    chance = _chance(windows.num_notes)
    return np.where(windows.num_notes >= 4, (share - chance) / (1 - chance), np.nan)


@metric("share", 0, 1, undefined="fewer than two notes")
def longest_repetition(windows: Windows) -> np.ndarray:
    """Share of the steps from note to note that belong to the longest run of one repeated pitch, notes in order of
    onset, then from high to low: 1 if one pitch is repeated throughout, 0 if no note repeats the one before.
    """
    pitch, window = windows.notes.pitch, windows.of_note
    begins = np.ones(len(pitch), bool)
    begins[1:] = (pitch[1:] != pitch[:-1]) | (window[1:] != window[:-1])
    first = np.flatnonzero(begins)
    longest = np.zeros(windows.num)
    np.maximum.at(longest, window[first], np.diff(np.append(first, len(pitch))))
    return np.where(windows.num_notes >= 2, (longest - 1) / (windows.num_notes - 1.0), np.nan)
