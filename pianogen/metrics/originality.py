"""What two performances have in common note by note: runs of notes that are the same, exactly or up to transposition.

Notes are taken in the order of the tokens: by onset, and the highest first within an onset. A run is some notes of a
piece without a gap, and as many of a source that agree with them:

exact   same pitches, same lengths and same waits between them, in steps; unit notes, from 0
near    same intervals between them, and waits of the same class: none, 1 to 2, 3 to 6, 7 to 14, ... steps; lengths and
        key are free; unit notes, from 1, and never below the exact run

Waits before the first note and after the last one are not compared. A longer wait than d160 counts as d160, as tokens
have no longer one. The length of the longest exact run is the length of the longest common substring (Gusfield 1997,
section 7.4). Legend: N notes.

Reference: Yin, Reuben, Stepney & Collins (2021), A Good Algorithm Does Not Steal - It Imitates; the same (2022),
Measuring When a Music Generation Algorithm Copies Too Much, whose similarity scores are others, and whose comparison
with the copying among humans is the one here; Lemström & Ukkonen (2000), Including Interval Encoding into Edit
Distance Based Music Comparison and Retrieval.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int32

from pianogen.tokens.notes import Notes, waits
from pianogen.tokens.vocab import MAX_WAIT_STEPS

_END_OF_SOURCE, _END_OF_PIECE = 254, 255  # in the place of a wait after the last note
_INTERVAL_BITS, _LENGTH_BITS, _WAIT_BITS = 8, 8, 8


@dataclass(frozen=True)
class Form:
    """A rule by which notes agree."""

    name: str
    links: Callable[[Notes, int], Int32[np.ndarray, " N"]]
    """A number for each note, equal where the notes and the steps to the next ones agree; the last one is an end."""
    tail_bits: int
    """The lowest bits of a number: what is not compared of a run's last note."""

    def of_piece(self, notes: Notes) -> Int32[np.ndarray, " N"]:
        """The numbers of a piece: the last one is equal to none of a source."""
        return self.links(notes, _END_OF_PIECE)

    def of_source(self, notes: Notes) -> Int32[np.ndarray, " N"]:
        """The numbers of a source: no run leads from its end to the next source."""
        return self.links(notes, _END_OF_SOURCE)


def _exact(notes: Notes, end: int) -> Int32[np.ndarray, " N"]:
    note = (notes.pitch << _LENGTH_BITS) + notes.duration
    return ((note << _WAIT_BITS) + _waits_after(notes, end)).astype(np.int32)


def _near(notes: Notes, end: int) -> Int32[np.ndarray, " N"]:
    wait = _waits_after(notes, end)
    rhythm = np.where(wait > MAX_WAIT_STEPS, wait, np.frexp(wait + 1)[1])  # frexp: the number of binary digits
    interval = np.append(np.diff(notes.pitch), 0) + (1 << (_INTERVAL_BITS - 1))
    return ((rhythm << _INTERVAL_BITS) + interval).astype(np.int32)


def _waits_after(notes: Notes, end: int) -> Int[np.ndarray, " N"]:
    """Steps from each onset to the next one; `end` after the last note."""
    return np.append(np.minimum(waits(notes)[1:], MAX_WAIT_STEPS), end)[: len(notes)]


EXACT = Form("exact", _exact, tail_bits=_WAIT_BITS)
NEAR = Form("near", _near, tail_bits=31)
FORMS = (EXACT, NEAR)


def in_runs(lengths: Int[np.ndarray, " N"], min_notes: int) -> Bool[np.ndarray, " N"]:
    """Which notes are part of a run of at least `min_notes`, given the longest run that begins at each note."""
    long = lengths >= min_notes
    begins = np.flatnonzero(long)
    change = np.zeros(len(lengths) + 1, np.int64)
    change[begins] += 1
    np.subtract.at(change, begins + lengths[begins], 1)
    return np.cumsum(change[:-1]) > 0
