"""How many notes sound together, and which chords and keys they make."""

import numpy as np
from jaxtyping import Float, Int

from pianogen.metrics.music.metric import metric
from pianogen.metrics.music.windows import PITCH_CLASSES, Windows

_SILENT = "nothing sounds"
_KEY_SEGMENT_S = 10.0

# how well each pitch class fits C major and C minor
_MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_MAJOR_TRIAD, _MINOR_TRIAD = ({0, 4, 7}, {0, 3, 7})


def _centred(rows: Float[np.ndarray, "... 12"]) -> Float[np.ndarray, "... 12"]:
    rows = rows - rows.mean(axis=-1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def _rolled(*profiles: np.ndarray) -> Float[np.ndarray, "24 12"]:
    return np.array([np.roll(profile, tonic) for profile in profiles for tonic in range(PITCH_CLASSES)])


_KEYS = _centred(_rolled(np.array(_MAJOR_PROFILE), np.array(_MINOR_PROFILE)))
_TRIADS = _rolled(*(np.isin(np.arange(12), list(triad)) / np.sqrt(3) for triad in (_MAJOR_TRIAD, _MINOR_TRIAD)))


def _all_sounding(windows: Windows) -> Int[np.ndarray, "W L"]:
    return windows.per_step(windows.piece.sounding)


@metric("notes", 1, 88, reference="muspy", undefined=_SILENT)
def polyphony(windows: Windows) -> np.ndarray:
    """Mean number of pitches that sound together, while any does."""
    sounding = _all_sounding(windows)
    return sounding.sum(axis=1) / (sounding > 0).sum(axis=1)


@metric("share", 0, 1, reference="muspy, of the sounding time", undefined=_SILENT)
def polyphonic_time(windows: Windows) -> np.ndarray:
    """Share of the sounding time in which two or more pitches sound."""
    sounding = _all_sounding(windows)
    return (sounding > 1).sum(axis=1) / (sounding > 0).sum(axis=1)


def _key_fit(chroma: Float[np.ndarray, "... 12"]) -> Float[np.ndarray, "... 24"]:
    """Correlation with the profile of each key; NaN where nothing, or every pitch class alike, sounds."""
    return _centred(chroma.astype(np.float64)) @ _KEYS.T


@metric("correlation", -1, 1, reference="Krumhansl & Kessler (1982)", undefined=_SILENT)
def key_clarity(windows: Windows) -> np.ndarray:
    """Correlation of the sounding time of the pitch classes with the profile of the key that fits best, of 24 keys."""
    return _key_fit(windows.per_step(windows.piece.chroma).sum(axis=1)).max(axis=1)


@metric("per minute", 0, 6, reference="Krumhansl & Kessler (1982)", undefined="no two segments of 10 s that sound")
def key_changes(windows: Windows) -> np.ndarray:
    """How often the best fitting key changes from one segment of 10 s to the next."""
    steps = round(_KEY_SEGMENT_S * windows.piece.steps_per_second)
    segments = windows.steps // steps
    chroma = windows.per_step(windows.piece.chroma)[:, : segments * steps]
    fit = _key_fit(chroma.reshape(windows.num, segments, steps, PITCH_CLASSES).sum(axis=2))
    return _changes(fit, np.isfinite(fit.max(axis=-1, initial=-1))) * 60 / _KEY_SEGMENT_S


@metric("share", 0, 1, undefined="no two successive beats in which two pitch classes sound")
def chord_changes(windows: Windows) -> np.ndarray:
    """Share of the steps from a beat to the next at which the chord changes: the major or minor triad nearest to the
    sounding time of the pitch classes, of beats in which at least two sound.
    """
    chroma = windows.per_beat(windows.piece.chroma)
    return _changes(chroma @ _TRIADS.T, (chroma > 0).sum(axis=-1) >= 2)


@metric("cosine", 0, 1, undefined="no beat in which two pitch classes sound")
def chord_clarity(windows: Windows) -> np.ndarray:
    """Mean cosine of the sounding time of the pitch classes with the nearest triad, over the beats in which at least
    two sound: 1 for pure triads.
    """
    chroma = windows.per_beat(windows.piece.chroma)
    chord = (chroma > 0).sum(axis=-1) >= 2
    nearest = (chroma @ _TRIADS.T).max(axis=-1, initial=0) / np.linalg.norm(chroma, axis=-1)
    return np.where(chord, nearest, 0).sum(axis=1) / chord.sum(axis=1)


def _changes(fit: Float[np.ndarray, "W S K"], known: np.ndarray) -> Float[np.ndarray, " W"]:
    """Share of the successive pairs of known segments whose best fit differs; NaN without such pairs."""
    best = fit.argmax(axis=-1)
    pairs = known[:, 1:] & known[:, :-1]
    return ((best[:, 1:] != best[:, :-1]) & pairs).sum(axis=1) / pairs.sum(axis=1)
