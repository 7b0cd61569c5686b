"""The longest run that each piece copies from the train split, with its source, and the same of human performances.

`pianogen.metrics.originality` defines the runs. A share is from 0 to 1.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from pianogen.data import KeptFile, identity_of
from pianogen.judge.copy_index import FOLDER, VERSION, CopyIndex
from pianogen.judge.passages import Passage, Timing
from pianogen.metrics.originality import FORMS, in_runs
from pianogen.tokens import Notes, decode

MIN_NOTES = 16  # of a run that counts as copied; in human performances longer ones are rare
_FORM_NAMES = tuple(form.name for form in FORMS)


@dataclass(frozen=True)
class Run:
    """The longest run of a piece: notes of the piece, and of the performance in the train split that has them too."""

    in_piece: Passage
    in_source: Passage
    source: str
    """The file that the performance was made from."""
    composer: str | None
    title: str | None
    semitones: int
    """How much higher the piece is."""
    pitches: int
    """How many different ones it has; a trill has two."""

    @property
    def notes(self) -> int:
        """Its length."""
        return self.in_piece.notes


@dataclass(frozen=True)
class Copies:
    """What a piece has in common with the train split."""

    notes: int
    """Of the piece."""
    exact: Run | None
    """The longest exact run; None if no note occurs."""
    near: Run | None
    """The longest near run; None if the piece has no notes."""
    exact_share: float
    """Share of the notes that are part of an exact run of at least `MIN_NOTES` notes; 0 in a shorter piece."""
    near_share: float
    """The same for near runs."""

    def to_json(self) -> dict[str, Any]:
        """A value for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Copies":
        """The inverse of `to_json`."""
        runs: dict[str, Any] = {name: _run_from_json(value[name]) for name in _FORM_NAMES}
        return cls(**(value | runs))


def copies_of(
    pieces: Sequence[Notes | Int[np.ndarray, " T"]], index: CopyIndex, timings: Sequence[Timing] | None = None
) -> list[Copies]:
    """What each piece copies.

    Args:
        pieces: As notes on the grid of the shards, or as token ids.
        timings: Of each piece; by default 4/4 at the tempo that generated pieces have.

    Raises:
        TokenError: Token ids break the grammar.
        ShardError: A source cannot be read.
    """
    usual = Timing.usual(index.shards.tokenizer)
    tables = [piece if isinstance(piece, Notes) else decode(piece) for piece in pieces]
    return [_copies(*one, index) for one in zip(tables, timings or [usual] * len(tables), strict=True)]


def beginning(notes: Notes, steps: float) -> Notes:
    """The notes that begin within so many steps after the first one."""
    start = int(notes.onset[0]) if len(notes) else 0
    kept = notes.onset < start + steps
    return notes.select(kept)


def human_copies(index: CopyIndex, first_seconds: float | None = None) -> list[Copies]:
    """What each performance of the test split has in common with the train split; kept beside the shards.

    With `first_seconds`, only so much of each performance is searched, at 120 quarters per minute.

    Raises:
        ShardError: A performance cannot be read.
    """
    test = index.shards.split("test")
    file = KeptFile(
        index.shards,
        FOLDER,
        f"test-{first_seconds:g}.json" if first_seconds else "test.json",
        identity_of(VERSION, index.shards, [index.train, test], MIN_NOTES, *([first_seconds] if first_seconds else [])),
        content="what test performances have in common with the train split",
        again="comparing the test split with the train split again",
    )
    if (body := file.read()) is not None:
        return [Copies.from_json(value) for value in json.loads(bytes(body))]
    tables = [decode(test.tokens(performance)) for performance in range(len(test))]
    tokenizer = index.shards.tokenizer
    timings = [Timing.of(test.metadata(number), notes, tokenizer) for number, notes in enumerate(tables)]
    if first_seconds is not None:
        steps = first_seconds / Timing.usual(tokenizer).seconds_per_step
        tables = [beginning(notes, steps) for notes in tables]
    found = copies_of(tables, index, timings)
    file.keep(json.dumps([copies.to_json() for copies in found]).encode())
    return found


def summary(copies: Sequence[Copies]) -> dict[str, dict[str, float]]:
    """For each form the lengths of the longest runs in notes, and the mean share of notes in runs; {} of no pieces."""
    found: dict[str, dict[str, float]] = {}
    for name in _FORM_NAMES if copies else ():
        notes = [run.notes if (run := getattr(one, name)) else 0 for one in copies]
        median, high, longest = np.percentile(notes, [50, 95, 100]).tolist()
        share = float(np.mean([getattr(one, f"{name}_share") for one in copies]))
        found[name] = {"median": median, "percentile_95": high, "maximum": longest, "mean_share": share}
    return found


def _copies(notes: Notes, timing: Timing, index: CopyIndex) -> Copies:
    runs, shares = [], []
    for form in FORMS:
        lengths, places = index.longest(form, notes)
        runs.append(_longest_run(lengths, places, notes, timing, index))
        shares.append(float(in_runs(lengths, MIN_NOTES).mean()) if len(notes) else 0.0)
    return Copies(len(notes), *runs, *shares)


def _longest_run(
    lengths: Int[np.ndarray, " N"], places: Int[np.ndarray, " N"], notes: Notes, timing: Timing, index: CopyIndex
) -> Run | None:
    if not lengths.any():
        return None
    begin = int(np.argmax(lengths))
    performance, at = index.source_of(int(places[begin]))
    source, metadata = decode(index.train.tokens(performance)), index.train.metadata(performance)
    count = int(lengths[begin])
    return Run(
        in_piece=Passage.of(notes, begin, count, timing),
        in_source=Passage.of(source, at, count, Timing.of(metadata, source, index.shards.tokenizer)),
        source=str(metadata.get("source")),
        composer=metadata.get("composer"),
        title=metadata.get("title"),
        semitones=int(notes.pitch[begin] - source.pitch[at]),
        pitches=len(np.unique(notes.pitch[begin : begin + count])),
    )


def _run_from_json(value: dict[str, Any] | None) -> Run | None:
    if value is None:
        return None
    passages: dict[str, Any] = {name: Passage(**value[name]) for name in ("in_piece", "in_source")}
    return Run(**(value | passages))
