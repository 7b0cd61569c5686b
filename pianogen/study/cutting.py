"""A clip's notes: the part of a piece from a step on, of a fixed length at most, that ends at a rest.

Legend: N notes, E possible ends.
"""

import numpy as np
from jaxtyping import Int

from pianogen.tokens.notes import Notes, canonical

REST_WITHIN_S = 4.0  # the end is sought in the last seconds of a clip


def cut(notes: Notes, start: int, steps: int, steps_per_second: float) -> Notes:
    """The notes that begin at `start` or later, from the first of them on, until a rest in the last 4 of `steps`.

    The rest is where the fewest notes sound; of several, the one with the longest wait between the notes around it. A
    note that sounds across it ends there.
    """
    kept = notes.onset >= start
    onset, duration, pitch = notes.onset[kept], notes.duration[kept], notes.pitch[kept]
    if not len(onset):
        return Notes(onset, duration, pitch)
    onset = onset - onset[0]
    end = rest(onset, onset + duration, steps, round(REST_WITHIN_S * steps_per_second))
    within = onset < end
    onset, pitch = onset[within], pitch[within]
    return canonical(onset, np.minimum(duration[within], end - onset), pitch)


def rest(onset: Int[np.ndarray, " N"], release: Int[np.ndarray, " N"], steps: int, within: int) -> int:
    """The step at which notes that begin at step 0 are cut: a rest in the last `within` of `steps`, as in `cut`."""
    ends = np.arange(max(1, steps - within), steps + 1)
    sounding = ((onset < ends[:, None]) & (release > ends[:, None])).sum(axis=1)
    before = np.searchsorted(onset, ends) - 1
    following = np.append(onset, np.iinfo(np.int64).max // 2)[before + 1]
    wait = np.minimum(following, steps) - onset[before]
    return int(ends[np.lexsort((-ends, -wait, sounding))[0]])
