"""Every score of a folder read twice: by pianogen and by an independent reader of the same format.

    python -m benchmarks.score_readers FOLDER --format kern

Both readings are note tables: onset, end and pitch of every sounding note, ties joined, grace notes left out, repeats
not expanded. The counts say how many files gave equal tables, and lists name those that differ or are refused. The
independent readers are no dependencies of pianogen: install what the command names.
"""

import argparse
import importlib
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from pianogen.errors import SourceError
from pianogen.tokens.notes import RawNotes
from pianogen.tokens.scores import read_score

PARTS_OF_A_QUARTER = 40320  # 8!: fine enough for tuplets, coarse enough for a reader that counts in float64
_MODULES = {"kern": "benchmarks.score_readers_kern"}

NoteTable = Counter[tuple[int, int, int]]
"""Onset and end in `PARTS_OF_A_QUARTER`, and pitch; unisons count as often as they are written."""


class Reading(NamedTuple):
    """What became of one file."""

    path: Path
    outcome: str  # equal, different, refused, or unread by the second reader
    detail: str = ""


class SecondReader(NamedTuple):
    """An independent reader of one format."""

    name: str
    suffix: str
    read: Callable[[Path], NoteTable]
    """Raises ValueError for a file that it cannot read."""


def note_table(rows: Iterable[tuple[Fraction | float, Fraction | float, int]]) -> NoteTable:
    """Onsets and ends in quarters, and pitches, as a table that can be compared."""
    return Counter(
        (round(onset * PARTS_OF_A_QUARTER), round(end * PARTS_OF_A_QUARTER), pitch) for onset, end, pitch in rows
    )


def rows_of(raw: RawNotes) -> list[tuple[Fraction, Fraction, int]]:
    """Onset and end in quarters, and pitch, of every note of a score that pianogen has read."""
    columns = zip(raw.onset.tolist(), raw.duration.tolist(), raw.pitch.tolist(), strict=True)
    quarter = raw.ticks_per_quarter
    return [(Fraction(onset, quarter), Fraction(onset + length, quarter), pitch) for onset, length, pitch in columns]


def table_of(raw: RawNotes) -> NoteTable:
    """The note table of a score that pianogen has read."""
    return note_table(rows_of(raw))


def compare(path: Path, second: SecondReader) -> Reading:
    """Read a file twice."""
    try:
        other = second.read(path)
    except ValueError as error:
        return Reading(path, "unread", f"{second.name}: {error}")
    try:
        own = table_of(read_score(path))
    except SourceError as error:
        return Reading(path, "refused", str(error).removeprefix(f"{path} cannot be used: "))
    if own == other:
        return Reading(path, "equal")
    return Reading(path, "different", f"{_first(own - other)}; {second.name}: {_first(other - own)}")


def _first(rest: NoteTable) -> str:
    """How many notes only one reader has, and the first of them."""
    if not rest:
        return "none of its own"
    onset, end, pitch = min(rest)
    where = f"quarters {onset / PARTS_OF_A_QUARTER:.5g} to {end / PARTS_OF_A_QUARTER:.5g}"
    return f"{rest.total()} of its own, the first at {where}, pitch {pitch}"


def print_readings(readings: list[Reading], name: str) -> None:
    """Print the files that are not equal, then the counts."""
    for outcome in ("unread", "refused", "different"):
        for reading in readings:
            if reading.outcome == outcome:
                print(f"{outcome:9} {reading.path}: {reading.detail}")
    counts = Counter(reading.outcome for reading in readings)
    for outcome in ("equal", "different", "refused", "unread"):
        print(f"{outcome:9} {counts[outcome]:6}")
    print(f"files     {len(readings):6} (second reader: {name})")


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--format", choices=sorted(_MODULES), required=True)
    args = parser.parse_args()
    try:
        second: SecondReader = importlib.import_module(_MODULES[args.format]).second_reader()
    except ImportError as error:
        parser.exit(2, f"the second reader cannot be loaded: {error}; install it with pip install {error.name}\n")
    paths = sorted(args.folder.rglob(f"*{second.suffix}"))
    if not paths:
        parser.exit(2, f"{args.folder} holds no {second.suffix} files\n")
    print_readings([compare(path, second) for path in paths], second.name)


if __name__ == "__main__":
    main()
