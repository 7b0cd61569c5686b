"""A piece cut into windows of equal length: what every measure of music is computed from.

Time is that of the tokens, which hold no tempo: a quarter note takes half a second (120 quarters per minute), a beat is
a quarter, and a bar four of them. A piece begins with its first note and ends with its last.
Legend: N notes, T steps of the piece, W windows, L steps of a window, O onsets.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from pianogen.tokens.notes import Notes

SECONDS_PER_QUARTER = 0.5
QUARTERS_PER_BAR = 4
NUM_PITCHES = 128
PITCH_CLASSES = 12


def _octaves(values: np.ndarray) -> np.ndarray:
    """Values of each pitch, (N, 128), by octave and pitch class: (N, 11, 12); 0 above the highest pitch."""
    return np.pad(values, ((0, 0), (0, 4))).reshape(len(values), 11, PITCH_CLASSES)


@dataclass(frozen=True, eq=False)
class Piece:
    """Notes on a grid, moved so that the first one is at step 0; its piano roll is computed on first use."""

    notes: Notes
    steps_per_quarter: int

    @staticmethod
    def of(notes: Notes, steps_per_quarter: int = 4) -> "Piece":
        """Leave out the silence before the first note."""
        start = int(notes.onset.min()) if len(notes) else 0
        return Piece(Notes(notes.onset - start, notes.duration, notes.pitch), steps_per_quarter)

    def beginning(self, seconds: float) -> "Piece":
        """Its first seconds; notes that would sound longer end there."""
        stop = max(1, round(seconds * self.steps_per_second))
        notes, kept = self.notes, self.notes.onset < stop
        end = np.minimum(notes.onset + notes.duration, stop)
        return Piece(Notes(notes.onset[kept], (end - notes.onset)[kept], notes.pitch[kept]), self.steps_per_quarter)

    @property
    def steps_per_second(self) -> float:
        """The grid's resolution."""
        return self.steps_per_quarter / SECONDS_PER_QUARTER

    @cached_property
    def num_steps(self) -> int:
        """Its length: the end of the last note; 0 without notes."""
        return int((self.notes.onset + self.notes.duration).max(initial=0))

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.num_steps / self.steps_per_second

    @cached_property
    def roll(self) -> Bool[np.ndarray, "T 128"]:
        """Which pitches sound at each step."""
        edges = np.zeros((self.num_steps + 1, NUM_PITCHES), np.int16)
        np.add.at(edges, (self.notes.onset, self.notes.pitch), 1)
        np.add.at(edges, (self.notes.onset + self.notes.duration, self.notes.pitch), -1)
        return np.cumsum(edges[:-1], axis=0, dtype=np.int16) > 0

    @cached_property
    def sounding(self) -> Int[np.ndarray, " T"]:
        """How many pitches sound at each step."""
        return self.roll.sum(axis=1)

    @cached_property
    def chroma(self) -> Int[np.ndarray, "T 12"]:
        """How many pitches of each pitch class sound at each step."""
        return _octaves(self.roll).sum(axis=1, dtype=np.int16)

    @cached_property
    def onsets(self) -> Int[np.ndarray, " O"]:
        """The steps at which notes begin, each once."""
        return np.unique(self.notes.onset)


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows one after another from the start of a piece; the rest that does not fill one is left out."""

    piece: Piece
    steps: int
    """Length of a window."""
    num: int

    @staticmethod
    def whole(piece: Piece) -> "Windows":
        """One window: all of the piece, of length 0 if there are no notes."""
        return Windows(piece, piece.num_steps, 1)

    @staticmethod
    def of_seconds(piece: Piece, seconds: float) -> "Windows":
        """All windows of this length; none if the piece is shorter."""
        steps = max(1, round(seconds * piece.steps_per_second))
        return Windows(piece, steps, piece.num_steps // steps)

    @property
    def seconds(self) -> float:
        """Length of a window."""
        return self.steps / self.piece.steps_per_second

    @cached_property
    def notes(self) -> Notes:
        """The notes that begin in a window; onsets are from the start of the piece."""
        stop = int(np.searchsorted(self.piece.notes.onset, self.num * self.steps))
        return self.piece.notes.select(slice(stop))

    @cached_property
    def of_note(self) -> Int[np.ndarray, " N"]:
        """The window in which each note begins."""
        return self.notes.onset // max(self.steps, 1)

    @cached_property
    def num_notes(self) -> Int[np.ndarray, " W"]:
        """Notes that begin in each window."""
        return np.bincount(self.of_note, minlength=self.num)

    @cached_property
    def pitch_counts(self) -> Int[np.ndarray, "W 128"]:
        """Notes of each pitch that begin in each window."""
        places = self.of_note * NUM_PITCHES + self.notes.pitch
        return np.bincount(places, minlength=self.num * NUM_PITCHES).reshape(self.num, NUM_PITCHES)

    @cached_property
    def pitch_class_counts(self) -> Int[np.ndarray, "W 12"]:
        """Notes of each pitch class, from C, that begin in each window."""
        return _octaves(self.pitch_counts).sum(axis=1)

    @cached_property
    def onsets(self) -> Int[np.ndarray, " O"]:
        """The steps of the piece at which notes of the windows begin, each once."""
        return self.piece.onsets[: np.searchsorted(self.piece.onsets, self.num * self.steps)]

    @cached_property
    def intervals(self) -> tuple[Int[np.ndarray, " I"], Float[np.ndarray, " I"]]:
        """Inter-onset intervals: the window that holds both onsets, and the time between them in seconds."""
        window = self.onsets // max(self.steps, 1)
        same = window[1:] == window[:-1]
        return window[1:][same], np.diff(self.onsets)[same] / self.piece.steps_per_second

    def per_step(self, values: np.ndarray) -> np.ndarray:
        """Values of each step of the piece, (T, ...), as (W, L, ...)."""
        return values[: self.num * self.steps].reshape(self.num, self.steps, *values.shape[1:])

    def per_beat(self, values: np.ndarray) -> np.ndarray:
        """Values of each step of the piece, (T, ...), summed over the whole beats of each window: (W, beats, ...)."""
        beat = self.piece.steps_per_quarter
        beats = self.steps // beat
        cut = self.per_step(values)[:, : beats * beat]
        return cut.reshape(self.num, beats, beat, *values.shape[1:]).sum(axis=2)
