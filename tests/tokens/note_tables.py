"""Hypothesis strategies for performances and note tables, and their conversion to rows."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from pianogen.tokens.notes import Notes, RawNotes, canonical
from pianogen.tokens.vocab import HIGHEST_PITCH, LOWEST_PITCH, MAX_NOTE_STEPS, MAX_WAIT_STEPS

Row = tuple[int, int, int]  # onset, duration, pitch


def columns(rows: list[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Onset, duration and pitch as int64 columns."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy()


def table_of(rows: list[Row]) -> Notes:
    """Rows in grid steps as a canonical table."""
    return canonical(*columns(rows))


def raw_of(rows: list[Row], ticks_per_quarter: int = 480, **fields: Any) -> RawNotes:
    """Rows in ticks as a performance."""
    onset, duration, pitch = columns(rows)
    return RawNotes(onset, duration, pitch, ticks_per_quarter, **fields)


def rows_of(notes: Notes | RawNotes) -> list[Row]:
    """A table as a list of rows, for comparing."""
    return list(zip(notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), strict=True))


@st.composite
def note_tables(draw: st.DrawFn, max_notes: int = 40) -> Notes:
    """Canonical tables of at least one note without waits above d160; few keys, so that notes overlap."""
    wait = st.one_of(st.integers(0, 3), st.integers(0, MAX_WAIT_STEPS))
    keys = draw(st.lists(st.integers(LOWEST_PITCH, HIGHEST_PITCH), min_size=1, max_size=8))
    row = st.tuples(wait, st.integers(1, MAX_NOTE_STEPS), st.sampled_from(keys))
    rows = draw(st.lists(row, min_size=1, max_size=max_notes))
    waits, durations, pitches = columns(rows)
    return canonical(np.cumsum(waits), durations, pitches)


@st.composite
def performances(draw: st.DrawFn) -> RawNotes:
    """Performances in ticks: any resolution, short and long notes, pitches outside the keyboard, rounding ties."""
    ticks_per_quarter = draw(st.sampled_from([1, 2, 96, 120, 384, 480, 1001, 32767]))
    tick = st.one_of(st.integers(0, 4 * ticks_per_quarter), st.integers(0, 100 * ticks_per_quarter))
    row = st.tuples(tick, tick, st.integers(0, 127))
    return raw_of(draw(st.lists(row, min_size=1, max_size=40)), ticks_per_quarter)
