"""Which staff each note is written on: split at middle C, but lines stay together, and hands help each other.

Shapes: N notes.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from pianogen.tokens.notes import Notes

MIDDLE_C = 60
_NEAR_MIDDLE_C = 5  # semitones
_SAME_LINE = 7  # semitones between two notes of a line, at most
_CROWDED = 3  # lengths that sound together on a staff
_WITHIN_REACH = 14  # semitones that one hand spans
_MAY_MOVE = 9  # semitones from middle C: four ledger lines at most


def on_upper_staff(notes: Notes) -> Bool[np.ndarray, " N"]:
    """Which notes are written on the upper staff: those from middle C on, but a line that crosses it stays together."""
    upper = notes.pitch >= MIDDLE_C
    near = np.abs(notes.pitch - MIDDLE_C) <= _NEAR_MIDDLE_C
    before = slice(0, 0)
    for now in _onsets(notes):
        if near[now].any() and before.stop:
            distance = np.abs(notes.pitch[now, None] - notes.pitch[None, before])
            continues = near[now] & (distance.min(axis=1) <= _SAME_LINE)
            chosen = np.where(continues, upper[before][distance.argmin(axis=1)], upper[now])
            if not np.any(np.diff(chosen.astype(int)) > 0):  # pitches descend: the hands do not cross
                upper[now] = chosen
        before = now
    return upper


def redistributed(notes: Notes, upper: Bool[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Move notes near middle C that make a staff crowded, or that its hand cannot reach, if the other hand can.

    A staff is crowded where three lengths sound together.
    """
    upper = upper.copy()
    end = notes.onset + notes.duration
    first = 0  # no note before it sounds any more
    for now in _onsets(notes):
        onset = notes.onset[now.start]
        while end[first] <= onset:
            first += 1
        sounding = first + np.flatnonzero(end[first : now.stop] > onset)
        for index in (*range(now.start, now.stop), *reversed(range(now.start, now.stop))):
            if abs(notes.pitch[index] - MIDDLE_C) <= _MAY_MOVE and _may_move(notes, upper, sounding, index):
                upper[index] = not upper[index]
    return upper


def _may_move(notes: Notes, upper: np.ndarray, sounding: np.ndarray, index: int) -> bool:
    """Whether a note has a reason to leave its staff, and a place on the other, so that the hands do not cross."""
    own = sounding[upper[sounding] == upper[index]]
    others = sounding[upper[sounding] != upper[index]]
    pitch = notes.pitch[index]
    stays = _num_lengths(notes, own) < _CROWDED and _are_within_reach(notes.pitch[own], pitch)
    if stays or _num_lengths(notes, np.append(others, index)) >= _CROWDED:
        return False
    kept = notes.pitch[own[own != index]]
    on_edge = bool((kept > pitch).all() if upper[index] else (kept < pitch).all())
    return on_edge and _are_within_reach(notes.pitch[others], pitch)


def _are_within_reach(pitches: np.ndarray, pitch: int) -> bool:
    return bool((np.abs(pitches - pitch) <= _WITHIN_REACH).all())


def _num_lengths(notes: Notes, chosen: np.ndarray) -> int:
    return len(set(zip(notes.onset[chosen].tolist(), notes.duration[chosen].tolist(), strict=True)))


def _onsets(notes: Notes) -> list[slice]:
    """The notes of each onset."""
    starts = np.flatnonzero(np.diff(notes.onset, prepend=-1)).tolist()
    return [slice(*edges) for edges in pairwise([*starts, len(notes)])]
