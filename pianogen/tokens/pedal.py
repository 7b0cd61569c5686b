"""The sustain pedal, as ascending intervals from press to lift, in ticks, which do not overlap.

A pedal pressed at the tick of a note-off holds the note; one lifted at that tick does not.
Shapes: N notes, P pedal intervals.
"""

import numpy as np
from jaxtyping import Int

Pedals = tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]


def no_pedals() -> Pedals:
    """A performance without pedal."""
    return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)


def union(pedals: list[Pedals]) -> Pedals:
    """Merge pedals into one, which is down while any of them is."""
    if len(pedals) == 1:
        return pedals[0]
    start, lift = (np.concatenate(column) for column in zip(*pedals, strict=True))
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(lift[order])
    opens = np.ones(len(start), dtype=bool)
    opens[1:] = start[1:] >= reach[:-1]
    closes = np.ones(len(start), dtype=bool)
    closes[:-1] = opens[1:]
    return start[opens], reach[closes]


def num_held(release: Int[np.ndarray, " N"], pedals: Pedals) -> int:
    """Number of notes released while the pedal is down."""
    start, lift = pedals
    ordered = np.sort(release, kind="stable")  # two searches per interval are fewer than one per note
    return int(np.sum(np.searchsorted(ordered, lift) - np.searchsorted(ordered, start)))


def sustained(
    onset: Int[np.ndarray, " N"], duration: Int[np.ndarray, " N"], pitch: Int[np.ndarray, " N"], pedals: Pedals
) -> Int[np.ndarray, " N"]:
    """Durations until the pedal lifts or the same key is struck again, never shorter than `duration`."""
    release = onset + duration
    bounds = np.stack(pedals, axis=1).ravel()
    interval = np.searchsorted(bounds, release, side="right")  # odd while the pedal is down
    lift = np.append(bounds, 0)[interval]
    end = np.where(interval & 1 == 1, np.minimum(lift, next_strike(onset, pitch)), release)
    return np.maximum(end, release) - onset


def next_strike(onset: Int[np.ndarray, " N"], pitch: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Next onset of each note's pitch, in the unit of `onset`; the largest int64 if there is none."""
    order = np.lexsort((onset, pitch))
    again = pitch[order[1:]] == pitch[order[:-1]]
    strike = np.full(len(onset), np.iinfo(np.int64).max)
    strike[order[:-1][again]] = onset[order[1:][again]]
    return strike
