"""Rows cut into pieces at their resets, in the order of one packed sequence: step by step, the longest piece first."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int


@dataclass(frozen=True, eq=False)
class Pieces:
    """Where each element of a time-major (T, B) batch is in the packed sequence (T * B), and P pieces in its order."""

    batch_sizes: Int[np.ndarray, " S"]
    """Pieces that have this step."""
    order: Int[np.ndarray, " N"]
    """The index in the batch of each packed element."""
    place: Int[np.ndarray, " N"]
    """The packed index of each element of the batch."""
    row: Int[np.ndarray, " P"]
    begins: Bool[np.ndarray, " P"]
    """Whether the piece begins with a reset, and not with the state of its row."""
    last: Int[np.ndarray, " B"]
    """The piece that ends each row."""


def split(keep: Bool[np.ndarray, "B T"]) -> Pieces:
    """Cut every row before each step that does not keep the state."""
    (rows, steps), first = keep.shape, ~keep
    first[:, 0] = True
    row, start = first.nonzero()
    number = first.cumsum().reshape(rows, steps) - 1  # of the piece that each element is in
    end = np.append(start[1:], 0)
    end[np.append(row[1:] != row[:-1], True)] = steps
    rank = np.empty(len(row), np.int64)
    by_length = np.argsort(start - end, kind="stable")
    rank[by_length] = np.arange(len(row))
    batch_sizes = np.bincount(end - start)[::-1].cumsum()[::-1][1:].copy()  # pieces of at least 1, 2, ... steps
    offsets = np.append(0, batch_sizes.cumsum()[:-1])
    place = (offsets[np.arange(steps) - start[number]] + rank[number]).T.ravel()
    order = np.empty(rows * steps, np.int64)
    order[place] = np.arange(rows * steps)
    return Pieces(batch_sizes, order, place, row[by_length], ~keep[row, start][by_length], rank[number[:, -1]])
