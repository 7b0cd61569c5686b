"""The contents of a score before quantisation: notes, ties and tempo marks, in exact fractions of a quarter."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from pianogen.errors import SourceError
from pianogen.tokens.notes import RawNotes
from pianogen.tokens.tempo import DEFAULT_QUARTERS_PER_MINUTE, TempoMap

_MAX_TICKS = 2**48  # beyond it, tick arithmetic could overflow int64

Tie = Literal["start", "continue", "stop"]


class WrittenNote(NamedTuple):
    """A note as written; onset and end in quarters from the beginning of the score."""

    onset: Fraction
    end: Fraction
    pitch: int  # the sounding pitch, a MIDI number
    tie: Tie | None = None
    part: int = 0  # ties join notes within one part


@dataclass
class WrittenScore:
    """The contents of one score file."""

    notes: list[WrittenNote] = field(default_factory=list)
    tempo_marks: dict[Fraction, float] = field(default_factory=dict)
    """Quarters per minute by onset; of several marks at one onset, the first counts."""
    time_signature: tuple[int, int] | None = None
    """The first one."""
    grace_notes: int = 0
    """Number of grace notes, which are not in `notes`."""


def sounding_notes(score: WrittenScore) -> RawNotes:
    """Merge all parts, join tied notes, and convert to the coarsest ticks that represent every rhythm exactly.

    Raises:
        SourceError: There are no notes, or the rhythms have no common tick.
    """
    if not score.notes:
        raise SourceError("it holds no notes")
    joined = join_ties(score.notes)
    marks = dict(sorted({Fraction(0): DEFAULT_QUARTERS_PER_MINUTE, **score.tempo_marks}.items()))
    times = [time for note in joined for time in (note.onset, note.end)] + list(marks)
    ticks_per_quarter = math.lcm(*{time.denominator for time in times})
    if max(times) * ticks_per_quarter > _MAX_TICKS:
        raise SourceError(f"its rhythms have no common tick: a quarter would need {ticks_per_quarter} of them")
    onset = _ticks([note.onset for note in joined], ticks_per_quarter)
    end = _ticks([note.end for note in joined], ticks_per_quarter)
    tempo_map = TempoMap(_ticks(list(marks), ticks_per_quarter), np.array(list(marks.values())))
    return RawNotes(
        onset=onset,
        duration=end - onset,
        pitch=np.array([note.pitch for note in joined], dtype=np.int64),
        ticks_per_quarter=ticks_per_quarter,
        seconds=tempo_map.seconds_at(int(end.max()), ticks_per_quarter),
        time_signature=score.time_signature,
        tempo_map=tempo_map,
        grace_notes=score.grace_notes,
    )


def join_ties(notes: Sequence[WrittenNote]) -> list[WrittenNote]:
    """Join each tied note with its continuation: the same pitch in the same part, starting where the note ends.

    Notes marked as continuations are preferred; some programs mark only the start of ties.
    """
    joined: list[WrittenNote] = []
    open_ties: dict[tuple[int, int, Fraction], list[int]] = defaultdict(list)  # part, pitch, end -> indices in `joined`
    for note in sorted(notes, key=lambda note: (note.onset, note.tie not in ("continue", "stop"))):
        candidates = open_ties[note.part, note.pitch, note.onset]
        if candidates:
            index = candidates.pop(0)
            joined[index] = joined[index]._replace(end=note.end)
        else:
            index = len(joined)
            joined.append(note)
        if note.tie in ("start", "continue"):
            open_ties[note.part, note.pitch, note.end].append(index)
    return joined


def _ticks(times: Sequence[Fraction], ticks_per_quarter: int) -> Int[np.ndarray, " N"]:
    return np.array([int(time * ticks_per_quarter) for time in times], dtype=np.int64)
