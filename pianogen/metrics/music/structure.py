"""Repetition: the self-similarity matrix of a piece, its structureness at three ranges, and how well it compresses.

The fitness of a segment says how well repetitions of it explain the piece: the harmonic mean of how similar they are
and how much of the piece they cover, the segment itself not counted. Repetitions may be up to twice as fast or slow.

References: Müller, Jiang & Grosche (2013), A Robust Fitness Measure for Capturing Repetitions in Music Recordings;
Wu & Yang (2020), The Jazz Transformer on the Front Line. Legend: F frames of one second, S segments, M their length.
"""

import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from pianogen.metrics.music.metric import metric
from pianogen.metrics.music.windows import PITCH_CLASSES, Piece, Windows
from pianogen.tokens.notes import waits

_THRESHOLD = 0.85  # cosine above which two frames are alike
_PENALTY = -2.0  # score of two frames that are not
_SMOOTHING = 3  # frames; a chord that comes slightly early or late is the same
_SCALE = 1 << 8  # scores are integers of this unit, so that they add up exactly
_SCORE, _LENGTH = 1 << 40, 1 << 20  # a path is one integer: its score, its length and the frames it covers
_REFERENCE = "Wu & Yang (2020); Müller et al. (2013)"
_WORST = np.int64(1 << 60)
_SHORT_S, _MIDDLE_S, _LONG_S = (2, 4, 8), (10, 15), (20, 30, 60)


def self_similarity(piece: Piece) -> Float[np.ndarray, "F F"]:
    """Cosine of the sounding time of the pitch classes of each two seconds, smoothed over three; 0 where it is silent.

    The rest that does not fill a second is left out.
    """
    steps = round(piece.steps_per_second)
    frames = piece.num_steps // steps
    chroma = piece.chroma[: frames * steps].reshape(frames, steps, PITCH_CLASSES).sum(axis=1).astype(np.float32)
    padded = np.pad(chroma, ((_SMOOTHING // 2, _SMOOTHING // 2), (0, 0)))
    smooth = sum((padded[shift : shift + frames] for shift in range(_SMOOTHING)), np.zeros_like(chroma))
    norm = np.linalg.norm(smooth, axis=1, keepdims=True)
    unit = np.divide(smooth, norm, out=np.zeros_like(smooth), where=norm > 0)
    return unit @ unit.T


def fitness(similarity: Float[np.ndarray, "F F"], lengths: Sequence[int]) -> list[Float[np.ndarray, " S"]]:
    """Fitness of the segments of each length in frames, moved by half of it; 0 if nothing else is alike.

    No segments of a length that the piece does not have.
    """
    frames = len(similarity)
    begins = [np.arange(0, frames - length + 1, max(1, length // 2)) for length in lengths]
    sizes = [len(begin) for begin in begins]
    begin, length = np.concatenate([*begins, np.zeros(0, np.int64)]), np.repeat(np.array(lengths, np.int64), sizes)
    total = _best_paths(_cells(similarity), begin, length)
    covered, rest = total % _LENGTH, total // _LENGTH
    length_of_paths, points = rest % (_SCORE // _LENGTH), rest // (_SCORE // _LENGTH) / _SCALE
    per_cell = np.maximum(points - length, 0) / np.maximum(length_of_paths, 1)
    coverage = np.maximum(covered - length, 0) / max(frames, 1)
    found = 2 * per_cell * coverage / np.maximum(per_cell + coverage, 1e-12)
    return np.split(found, np.cumsum(sizes))[:-1]


def _cells(similarity: Float[np.ndarray, "F F"]) -> Int[np.ndarray, "F F+1"]:
    """What each two frames add to a path through them; a path through the last column is worse than any other."""
    score = np.where(similarity >= _THRESHOLD, (similarity - _THRESHOLD) / (1 - _THRESHOLD), _PENALTY)
    cells = np.rint(score * _SCALE).astype(np.int64) * _SCORE + _LENGTH
    return np.pad(cells, ((0, 0), (0, 1)), constant_values=-_WORST)


def _best_paths(
    cells: Int[np.ndarray, "F F+1"], begin: Int[np.ndarray, " S"], length: Int[np.ndarray, " S"]
) -> Int[np.ndarray, " S"]:
    """The best family of paths over the piece for each segment: score, length and coverage in one integer.

    A path steps by one frame of each, or by two of one of them; paths of a family do not overlap. All segments are one
    row, each followed by the last column, so that no path leads from one to the next.
    """
    last = np.cumsum(length + 1) - 2
    first = last - length + 1
    columns = np.arange(int((length + 1).sum())) - np.repeat(first - begin, length + 1)
    columns[last + 1] = len(cells)
    idle = np.zeros(len(begin), np.int64)  # no path is open
    before = np.full(len(columns), -_WORST)  # open paths by the frame of the segment, at the previous frame
    earlier, best, row = before.copy(), before.copy(), before.copy()  # and at the one before it
    for frame, of_frame in enumerate(cells):
        np.maximum(idle, before.take(last) + frame, out=idle)  # one that has reached the end of its segment may close
        np.maximum(before[:-1], earlier[:-1], out=best[1:])
        np.maximum(best[2:], before[:-2], out=best[2:])
        best[first] = idle - frame
        best += of_frame.take(columns, out=row, mode="clip")  # clip: numpy copies the row otherwise
        earlier, before, best = before, best, earlier
    return np.maximum(idle, before.take(last) + len(cells))


@lru_cache(maxsize=1)  # the measures of a piece ask for it in turn
def _greatest_fitness(piece: Piece) -> dict[int, float]:
    """The greatest fitness of a segment of each length that fits twice into the piece."""
    similarity = self_similarity(piece)
    lengths = [length for length in sorted({*_SHORT_S, *_MIDDLE_S, *_LONG_S}) if 2 * length <= len(similarity)]
    return {length: float(of.max()) for length, of in zip(lengths, fitness(similarity, lengths), strict=True)}


def structureness(piece: Piece, seconds: Sequence[int]) -> float:
    """The greatest fitness of a segment of one of these lengths, moved by half its length through the piece.

    The lengths are some of those of the measures below. NaN if the piece is shorter than twice the least length.
    """
    found = _greatest_fitness(piece)
    return max((found[length] for length in seconds if length in found), default=np.nan)


@metric("1", 0, 1, reference=_REFERENCE, undefined="shorter than 4 s", whole_only=True)
def short_structure(windows: Windows) -> np.ndarray:
    """Structureness at short range: the greatest fitness of a segment of 2, 4 or 8 s, moved by half its length."""
    return np.array([structureness(windows.piece, _SHORT_S)])


@metric("1", 0, 1, reference=_REFERENCE, undefined="shorter than 20 s", whole_only=True)
def middle_structure(windows: Windows) -> np.ndarray:
    """Structureness at middle range: the greatest fitness of a segment of 10 or 15 s, moved by half its length."""
    return np.array([structureness(windows.piece, _MIDDLE_S)])


@metric("1", 0, 1, reference=_REFERENCE, undefined="shorter than 40 s", whole_only=True)
def long_structure(windows: Windows) -> np.ndarray:
    """Structureness at long range: the greatest fitness of a segment of 20, 30 or 60 s, moved by half its length."""
    return np.array([structureness(windows.piece, _LONG_S)])


@metric("1", 0, undefined="no notes", reference="Ziv & Lempel (1977), by zlib")
def compression(windows: Windows) -> np.ndarray:
    """How many times smaller zlib makes the notes, written as three bytes each: interval to the note before, wait, and
    length. Repetition and regularity raise it.
    """
    notes = windows.piece.notes
    table = np.stack([np.diff(notes.pitch, prepend=60), waits(notes), notes.duration], axis=1)
    data = np.clip(table % 256, 0, 255).astype(np.uint8)
    ends = np.cumsum(windows.num_notes).tolist()
    return np.array([_ratio(data[end - size : end]) for end, size in zip(ends, windows.num_notes, strict=True)])


def _ratio(table: Int[np.ndarray, "N 3"]) -> float:
    if not table.size:
        return np.nan
    return table.size / len(zlib.compress(table.tobytes(), 9, wbits=-15))  # without header and checksum
