"""The notes of one piece, read by pianogen and by a second reader."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from pianogen.errors import SourceError
from pianogen.tokens.scores import read_score

_PARTS_OF_A_QUARTER = 40320  # 8!; divisible by most tuplets, and coarse enough for a reader that uses float64

Row = tuple[Fraction | float, Fraction | float, int]
"""Onset and end in quarters, and pitch."""


class Piece(NamedTuple):
    """A file with one piece."""

    name: str
    path: Path


class SecondReading(NamedTuple):
    """The notes that a second reader finds."""

    rows: list[Row]
    reports_error: bool = False


def first_difference(own: list[Row], other: list[Row]) -> str:
    """The number of notes that only one reading has, and the first of them; empty if the readings are equal."""
    own_table, other_table = (
        Counter(
            (round(onset * _PARTS_OF_A_QUARTER), round(end * _PARTS_OF_A_QUARTER), pitch) for onset, end, pitch in rows
        )
        for rows in (own, other)
    )
    if own_table == other_table:
        return ""
    return f"only pianogen {_first(own_table - other_table)}; only the other {_first(other_table - own_table)}"


def one_piece(path: Path, _folder: Path) -> Iterator[Piece]:
    """The piece of a file that holds only one."""
    yield Piece(str(path), path)


class SecondReader(NamedTuple):
    """An independent reader of one format."""

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], SecondReading]
    """Raises ValueError for a file that it cannot read."""
    pieces: Callable[[Path, Path], Iterator[Piece]] = one_piece
    """The pieces of a file; one that holds several writes each to a file in the given folder."""
    difference: Callable[[list[Row], list[Row]], str] = first_difference


class Comparison(NamedTuple):
    """The outcome of reading a piece twice."""

    outcome: str
    detail: str
    own_seconds: float  # CPU time
    second_seconds: float


def compare(path: Path, second: SecondReader) -> Comparison:
    """Read a piece with both readers."""
    own, other, details = None, None, []
    start = _cpu_seconds()
    try:
        own = _own_rows(path)
    except SourceError as error:
        details.append(str(error).removeprefix(f"{path} cannot be used: "))
    middle = _cpu_seconds()
    try:
        other = second.read(path)
    except ValueError as error:
        details.append(f"{second.name}: {error}")
    end = _cpu_seconds()
    if own is not None and other is not None:
        details.append(second.difference(own, other.rows))
        outcome = "different" if details[-1] else "equal"
    else:
        outcome = "refused" if own is None else "read"
    if other is None:
        outcome += f", {second.name} cannot read it"
    elif other.reports_error:
        outcome += f", {second.name} reports an error"
    return Comparison(outcome, "; ".join(detail for detail in details if detail), middle - start, end - middle)


def _own_rows(path: Path) -> list[Row]:
    raw = read_score(path)
    columns = zip(raw.onset.tolist(), raw.duration.tolist(), raw.pitch.tolist(), strict=True)
    quarter = raw.ticks_per_quarter
    return [(Fraction(onset, quarter), Fraction(onset + length, quarter), pitch) for onset, length, pitch in columns]


def _cpu_seconds() -> float:
    """CPU time of this process and of the programs that it has run."""
    return sum(os.times()[:4])


def _first(rest: Counter[tuple[int, int, int]]) -> str:
    if not rest:
        return "has no further notes"
    onset, end, pitch = min(rest)
    span = f"quarters {onset / _PARTS_OF_A_QUARTER:.5g} to {end / _PARTS_OF_A_QUARTER:.5g}"
    return f"has {rest.total()} notes, the first at {span} with pitch {pitch}"
