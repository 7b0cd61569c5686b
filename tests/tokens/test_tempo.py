"""Conversion between ticks and seconds with tempo changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from note_tables import raw_of

from pianogen.tokens.tempo import TempoMap

# one quarter at 120, two at 60, then 240
CHANGING = TempoMap(np.array([0, 480, 1440]), np.array([120.0, 60.0, 240.0]))


@pytest.mark.parametrize(
    ("tick", "seconds"), [(0, 0.0), (240, 0.25), (480, 0.5), (960, 1.5), (1440, 2.5), (1920, 2.75)]
)
def test_each_section_has_its_own_tempo(tick: int, seconds: float) -> None:
    assert CHANGING.seconds_at(tick, 480) == pytest.approx(seconds)


@given(st.integers(0, 10_000))
def test_seconds_and_ticks_are_inverse(tick: int) -> None:
    assert CHANGING.tick_at(CHANGING.seconds_at(tick, 480), 480) == tick


def test_a_performance_without_marks_has_tempo_120() -> None:
    assert raw_of([(0, 1, 60)]).ticks_at(30.0) == 60 * 480


def test_of_two_marks_at_one_tick_the_later_counts() -> None:
    assert TempoMap(np.array([0, 0]), np.array([120.0, 60.0])).seconds_at(480, 480) == pytest.approx(1.0)
