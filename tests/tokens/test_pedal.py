"""The sustain pedal, against loops over notes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from note_tables import Row, columns

from pianogen.tokens.pedal import Pedals, no_pedals, num_held, sustained, union

ROWS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20), st.integers(60, 62)), min_size=1, max_size=20)


@st.composite
def pedals(draw: st.DrawFn) -> Pedals:
    """Intervals in ascending order; a lift and the next press may share a tick."""
    times = sorted(draw(st.lists(st.integers(0, 60), max_size=8)))
    pairs = [(start, lift) for start, lift in zip(times[::2], times[1::2], strict=False) if start < lift]
    return np.array([start for start, _ in pairs], dtype=np.int64), np.array(
        [lift for _, lift in pairs], dtype=np.int64
    )


def held(tick: int, pedal: Pedals) -> list[int]:
    """The lift of the pedal that is down at a tick."""
    return [lift for start, lift in zip(pedal[0].tolist(), pedal[1].tolist(), strict=True) if start <= tick < lift]


@given(ROWS, pedals())
def test_a_note_sounds_until_the_pedal_lifts_or_the_key_is_struck_again(rows: list[Row], pedal: Pedals) -> None:
    rows = sorted(set(rows))
    rows = [row for index, row in enumerate(rows) if row[::2] not in [other[::2] for other in rows[:index]]]
    expected = []
    for onset, duration, pitch in rows:
        end = onset + duration
        strikes = [other for other, _, key in rows if key == pitch and other > onset]
        expected.append(max([end, *(min([lift, *strikes]) for lift in held(end, pedal))]) - onset)
    assert sustained(*columns(rows), pedal).tolist() == expected


@given(ROWS, pedals())
def test_held_notes_are_those_released_while_the_pedal_is_down(rows: list[Row], pedal: Pedals) -> None:
    onset, duration, _ = columns(rows)
    release = onset + duration
    assert num_held(release, pedal) == sum(len(held(tick, pedal)) for tick in release.tolist())


@given(st.lists(pedals(), min_size=1, max_size=3))
def test_the_union_is_down_while_any_pedal_is(several: list[Pedals]) -> None:
    start, lift = union(several)
    down = [bool(held(tick, (start, lift))) for tick in range(61)]
    assert down == [any(held(tick, one) for one in several) for tick in range(61)]
    assert (start[1:] >= lift[:-1]).all()


def test_without_a_pedal_notes_end_when_they_are_released() -> None:
    assert sustained(*columns([(0, 5, 60)]), no_pedals()).tolist() == [5]
