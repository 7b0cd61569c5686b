"""When notes begin and how long they last, and the pauses between phrases."""

import numpy as np
from jaxtyping import Float, Int

from pianogen.metrics.music.metric import entropy_bits, mean_by_window, metric
from pianogen.metrics.music.windows import QUARTERS_PER_BAR, Windows

_YANG = "Yang & Lerch (2020)"
_TWO_ONSETS = "fewer than two onsets"
# half octaves around 0.125 s (a sixteenth) x 2^(k/2): below 0.105 s, then 0.105 to 0.149 s, ..., above 13.5 s
_EDGES_S = 0.125 * 2.0 ** (np.arange(15) / 2 - 0.25)
_NUM_BINS = len(_EDGES_S) + 1
_POSITIONS_PER_QUARTER = 4
_PAUSE_S = 1.0
_PAUSE_INTERVALS = 4  # times the median interval


@metric("notes/s", reference=_YANG, undefined="no notes at all, so no length")
def note_density(windows: Windows) -> np.ndarray:
    """Notes that begin, per second."""
    return windows.num_notes / np.float64(windows.seconds)


@metric("s", reference=_YANG, undefined=_TWO_ONSETS)
def interval_mean(windows: Windows) -> np.ndarray:
    """Mean time from onset to onset; notes that begin together are one onset."""
    return mean_by_window(*windows.intervals, windows.num)


def _histogram(window: np.ndarray, seconds: np.ndarray, num: int) -> Int[np.ndarray, "W bins"]:
    places = window * _NUM_BINS + np.digitize(seconds, _EDGES_S)
    return np.bincount(places, minlength=num * _NUM_BINS).reshape(num, _NUM_BINS)


@metric("share", 0, 1, reference=_YANG, undefined=_TWO_ONSETS, size=_NUM_BINS)
def interval_histogram(windows: Windows) -> np.ndarray:
    """Share of the inter-onset intervals in each of 16 bins, half octaves of time: below 0.105 s, to 0.149 s, ..."""
    counts = _histogram(*windows.intervals, windows.num)
    return counts / counts.sum(axis=1, keepdims=True)


@metric("bits", 0, 4, undefined=_TWO_ONSETS)
def interval_entropy(windows: Windows) -> np.ndarray:
    """Shannon entropy of the histogram of inter-onset intervals: 0 for a metronome."""
    return entropy_bits(_histogram(*windows.intervals, windows.num))


@metric("s", reference=_YANG, undefined="no notes")
def length_mean(windows: Windows) -> np.ndarray:
    """Mean length of the notes."""
    return mean_by_window(windows.of_note, _lengths_s(windows), windows.num)


@metric("share", 0, 1, reference=_YANG, undefined="no notes", size=_NUM_BINS)
def length_histogram(windows: Windows) -> np.ndarray:
    """Share of the notes in each of 16 bins of length, half octaves of time: below 0.105 s, to 0.149 s, ..."""
    return _histogram(windows.of_note, _lengths_s(windows), windows.num) / windows.num_notes[:, None]


@metric("bits", 0, 4, undefined="no notes")
def length_entropy(windows: Windows) -> np.ndarray:
    """Shannon entropy of the histogram of note lengths: 0 if all are alike."""
    return entropy_bits(_histogram(windows.of_note, _lengths_s(windows), windows.num))


def _lengths_s(windows: Windows) -> Float[np.ndarray, " N"]:
    return windows.notes.duration / windows.piece.steps_per_second


@metric("1", -1, 1, reference="Cohen (1960); muspy, corrected for chance", undefined="no two bars with an onset in one")
def groove_consistency(windows: Windows) -> np.ndarray:
    """Cohen's kappa of the onset positions (sixteenths) of each bar and the next one, mean over the pairs in which
    either has an onset: 1 if all bars have one rhythm, 0 on average for random onsets, however few or many.
    """
    positions = QUARTERS_PER_BAR * _POSITIONS_PER_QUARTER
    bar = windows.piece.steps_per_quarter * QUARTERS_PER_BAR
    bars = windows.steps // bar
    window, step = np.divmod(windows.onsets, max(windows.steps, 1))
    inside = step < bars * bar
    struck = np.zeros((windows.num, bars, positions), bool)
    of_bar, place = np.divmod(step[inside], bar)
    struck[window[inside], of_bar, place * positions // bar] = True
    kappa = _kappa(struck[:, :-1], struck[:, 1:])
    return np.nansum(kappa, axis=1) / (~np.isnan(kappa)).sum(axis=1)


def _kappa(first: np.ndarray, second: np.ndarray) -> Float[np.ndarray, "..."]:
    """Agreement of the last axis beyond chance; 1 if both are full, NaN if both are empty."""
    agreement = (first == second).mean(axis=-1)
    share, other = first.mean(axis=-1), second.mean(axis=-1)
    chance = share * other + (1 - share) * (1 - other)
    kappa = np.where(chance < 1, (agreement - chance) / (1 - chance), 1)
    return np.where(share + other > 0, kappa, np.nan)


@metric("share", 0, 1, reference="muspy", undefined="shorter than a beat")
def empty_beats(windows: Windows) -> np.ndarray:
    """Share of the beats in which no note sounds."""
    return _silent_share(windows.per_beat(windows.piece.sounding))


@metric("share", 0, 1, undefined="no notes at all, so no length")
def silence(windows: Windows) -> np.ndarray:
    """Share of the time in which no note sounds."""
    return _silent_share(windows.per_step(windows.piece.sounding))


def _silent_share(sounding: Int[np.ndarray, "W L"]) -> Float[np.ndarray, " W"]:
    """Share of the times of each window at which nothing sounds; NaN of no times."""
    return (sounding == 0).sum(axis=1) / sounding.shape[1]


@metric("per minute", undefined=_TWO_ONSETS)
def pauses(windows: Windows) -> np.ndarray:
    """Pauses between phrases: inter-onset intervals of at least 1 s and at least 4 times the piece's median one, filled
    by silence or by a note that is held.
    """
    window, seconds = windows.intervals
    whole = np.diff(windows.piece.onsets) / windows.piece.steps_per_second
    least = max(_PAUSE_S, _PAUSE_INTERVALS * float(np.median(whole))) if len(whole) else _PAUSE_S
    number = np.bincount(window[seconds >= least], minlength=windows.num)
    intervals = np.bincount(window, minlength=windows.num)
    return np.where(intervals > 0, number / np.float64(windows.seconds) * 60, np.nan)
