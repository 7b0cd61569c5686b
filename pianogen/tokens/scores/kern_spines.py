"""The columns of a Humdrum file, called spines: how they start, split, join, are exchanged and end.

Reference: Huron, The Humdrum Toolkit: Reference Manual (1994), section 1, and the Humdrum guide, chapter 5.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby

from pianogen.errors import InconsistentScoreError, SourceError

_TABS = re.compile("\t+")


@dataclass
class Spine:
    """One column, or one branch of a split column."""

    origin: int  # shared by the branches of one column
    representation: str = ""  # the exclusive interpretation such as kern; empty before it
    end: Fraction = Fraction(0)  # where the last token ends, in quarters
    part: str = ""  # the *part interpretation, or empty
    unpitched: bool = False  # percussion

    @property
    def sounds(self) -> bool:
        """Whether it holds notes."""
        return self.representation == "kern"


def tokens_of(line: str) -> list[str]:
    """The cells of a line, one per spine."""
    return [cell.strip(" ") for cell in _TABS.split(line.strip("\t"))]


def next_spines(spines: Sequence[Spine], tokens: Sequence[str], origins: Iterator[int]) -> list[Spine]:
    """The spines after a line of interpretations; added spines take their origin from `origins`.

    Raises:
        SourceError: A spine is joined with no other, or the number of exchanged spines is not two.
        InconsistentScoreError: Joined branches do not end at the same time.
    """
    cells = list(zip(_exchanged(spines, tokens), tokens, strict=True))
    below: list[Spine] = []
    for joins, run in groupby(cells, key=lambda cell: cell[1] == "*v"):
        if joins:
            below += _joined([spine for spine, _ in run])
            continue
        for spine, token in run:
            below += _below(spine, token, origins)
    return below


def _below(spine: Spine, token: str, origins: Iterator[int]) -> list[Spine]:
    if token == "*^":
        return [replace(spine), replace(spine)]
    if token == "*+":
        return [spine, Spine(next(origins))]
    return [] if token == "*-" else [spine]


def _exchanged(spines: Sequence[Spine], tokens: Sequence[str]) -> list[Spine]:
    columns = [column for column, token in enumerate(tokens) if token == "*x"]
    if not columns:
        return list(spines)
    if len(columns) != 2:
        raise SourceError(f"the number of exchanged spines (*x) is {len(columns)}, but it must be 2")
    exchanged = list(spines)
    first, second = columns
    exchanged[first], exchanged[second] = spines[second], spines[first]
    return exchanged


def _joined(run: Sequence[Spine]) -> list[Spine]:
    """Join the branches of each column; if no two are of one column, join the columns."""
    groups = [list(group) for _, group in groupby(run, key=lambda spine: spine.origin)]
    if all(len(group) == 1 for group in groups):
        groups = [list(run)]
    return [_join(group) for group in groups]


def _join(group: Sequence[Spine]) -> Spine:
    if len(group) == 1:
        raise SourceError("a spine is joined (*v), but no adjacent spine is")
    if len({spine.representation for spine in group}) > 1:
        raise SourceError("spines of different types are joined (*v)")
    ends = sorted({spine.end for spine in group})
    if len(ends) > 1 and group[0].sounds:
        raise InconsistentScoreError(f"joined voices (*v) end at quarters {ends[0]} and {ends[-1]}")
    return group[0]
