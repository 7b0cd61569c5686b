"""Originality of sets of pieces: what they copy from the train split, beside what human performances share with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pianogen.data import ShardSet
from pianogen.errors import SettingError
from pianogen.judge.copy_index import CopyIndex
from pianogen.judge.copying import Copies, beginning, copies_of, human_copies, summary
from pianogen.judge.piece_sets import PieceSet, title_of
from pianogen.metrics.music import Piece
from pianogen.metrics.originality import FORMS
from pianogen.progress import Progress, status
from pianogen.tokens import Notes

HUMAN = "human: test split"
_SHOWN = 5  # longest runs of each form, over all sets


@dataclass(frozen=True)
class Originality:
    """What the pieces of one set copy."""

    name: str
    pieces: tuple[str, ...]
    copies: tuple[Copies, ...]
    """Of each piece."""

    def as_json(self) -> dict[str, Any]:
        """Everything about the set."""
        pieces = [{"piece": name, **one.to_json()} for name, one in zip(self.pieces, self.copies, strict=True)]
        return {"name": self.name, "summary": summary(self.copies), "pieces": pieces}


def find_copies(sets: Sequence[PieceSet], shards: ShardSet, first_seconds: float | None = None) -> list[Originality]:
    """Search the judged sets for runs of the train split, after the same of the test split, the human baseline.

    With `first_seconds`, only so much of both is searched: the longest run of a longer piece is longer.

    Raises:
        SettingError: The steps of pieces are not those of the shards.
        ShardError: The shards are damaged.
    """
    judged = [one for one in sets if one.role == "judged"]
    _require_grid(judged, shards)
    with status("indexing the train split and searching the test split"):
        index = CopyIndex.of(shards)
        human = human_copies(index, first_seconds)
    test = shards.split("test")
    names = tuple(str(test.metadata(number).get("source", number)) for number in range(len(test)))
    found = [Originality(HUMAN, names, tuple(human))]
    with Progress("searching for copies", total=sum(len(one.pieces) for one in judged), unit="pieces") as bar:
        for one in judged:
            copies = []
            for named in one.pieces:
                copies += copies_of([_searched(named.piece, first_seconds)], index)
                bar.advance(1, note=one.name)
            found.append(Originality(one.name, tuple(named.name for named in one.pieces), tuple(copies)))
    return found


def _searched(piece: Piece, first_seconds: float | None) -> Notes:
    steps = np.inf if first_seconds is None else first_seconds * piece.steps_per_second
    return beginning(piece.notes, steps)


def rows(found: Sequence[Originality]) -> list[dict[str, Any]]:
    """A row of the report's table for each set."""
    return [{"name": one.name, "pieces": len(one.pieces), **summary(one.copies)} for one in found]


def longest(found: Sequence[Originality]) -> Iterator[dict[str, Any]]:
    """The longest runs of the judged sets, of each form."""
    for form in FORMS:
        runs = [
            (run, one.name, piece)
            for one in found
            if one.name != HUMAN
            for piece, copies in zip(one.pieces, one.copies, strict=True)
            if (run := getattr(copies, form.name)) is not None
        ]
        for run, name, piece in sorted(runs, key=lambda found: -found[0].notes)[:_SHOWN]:
            yield {
                "form": form.name,
                "set": name,
                "piece": piece,
                "source": title_of(vars(run), run.source),
                "run": run,
            }


def _require_grid(sets: Sequence[PieceSet], shards: ShardSet) -> None:
    """Notes are compared step by step, so the steps of the pieces must be those of the shards."""
    grid = shards.tokenizer.steps_per_quarter
    for one in sets:
        if other := {named.piece.steps_per_quarter for named in one.pieces} - {grid}:
            raise SettingError(
                f"set {one.name!r} has pieces with {min(other)} steps per quarter, but the shards {shards.folder} have "
                f"{grid}, so no copies can be found; give shards of the same grid, or --originality false"
            )
