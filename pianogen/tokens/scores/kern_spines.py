"""The columns of a Humdrum file, called spines: how they begin, split, join, change places and end.

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
    """One column, or one branch of a column that was split."""

    origin: int  # branches of one column share it
    representation: str = ""  # the exclusive interpretation, such as kern; empty until it is given
    end: Fraction = Fraction(0)  # where its last token ends, in quarters
    part: str = ""  # the value of *part, or empty
    unpitched: bool = False  # percussion

    @property
    def sounds(self) -> bool:
        """Whether it holds notes."""
        return self.representation == "kern"


def tokens_of(line: str) -> list[str]:
    """The cells of a line, one for each spine."""
    return [cell.strip(" ") for cell in _TABS.split(line.strip("\t"))]


def next_spines(spines: Sequence[Spine], tokens: Sequence[str], origins: Iterator[int]) -> list[Spine]:
    """The spines below a line of interpretations; one that it adds takes its origin from `origins`.

    Raises:
        SourceError: A join has no neighbour to join, or an exchange not exactly two sides.
        InconsistentScoreError: Branches that join do not end at the same time.
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
    places = [place for place, token in enumerate(tokens) if token == "*x"]
    if not places:
        return list(spines)
    if len(places) != 2:
        raise SourceError(f"{len(places)} spines are to change places (*x); it takes two")
    exchanged = list(spines)
    first, second = places
    exchanged[first], exchanged[second] = spines[second], spines[first]
    return exchanged


def _joined(run: Sequence[Spine]) -> list[Spine]:
    """Each column's branches as one; where no two belong to one column, the columns themselves become one."""
    groups = [list(group) for _, group in groupby(run, key=lambda spine: spine.origin)]
    if all(len(group) == 1 for group in groups):
        groups = [list(run)]
    return [_one_of(group) for group in groups]


def _one_of(group: Sequence[Spine]) -> Spine:
    if len(group) == 1:
        raise SourceError("a spine is to join (*v) but has no neighbour to join with")
    if len({spine.representation for spine in group}) > 1:
        raise SourceError("spines of different kinds are to join (*v)")
    ends = sorted({spine.end for spine in group})
    if len(ends) > 1 and group[0].sounds:
        raise InconsistentScoreError(f"voices that join (*v) end at quarters {ends[0]} and {ends[-1]}")
    return group[0]
