"""Every measure on hand-made extremes has the value that its definition demands."""

import math
from pathlib import Path

import numpy as np
import pytest

from pianogen.metrics.music import METRICS, Piece, Windows
from pianogen.metrics.music.__main__ import page_with_tables
from pianogen.metrics.music.extremes import EXTREMES, metronome
from pianogen.tokens.notes import Notes, canonical

BY_NAME = {metric.name: metric for metric in METRICS}
NAN = math.nan
MAJOR = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]
LONE_C = float(np.corrcoef([1, *[0] * 11], MAJOR)[0, 1])  # how well it fits C major


def about(value: float, tolerance: float) -> object:
    return pytest.approx(value, abs=tolerance)


# metronome (120 notes, one a beat), 600 random notes in a minute, one note of a beat, silence
DEMANDED: dict[str, tuple[object, object, object, object]] = {
    "pitch_count": (1, about(88, 1), 1, 0),
    "pitch_range": (0, about(87, 1), 0, NAN),
    "pitch_mean": (60, about(64.5, 3), 60, NAN),
    "pitch_entropy": (0, about(math.log2(88), 0.15), 0, NAN),
    "pitch_class_entropy": (0, about(math.log2(12), 0.03), 0, NAN),
    "transition_entropy": (0, about(math.log2(12), 0.4), NAN, NAN),
    "scale_consistency": (1, about(0, 0.1), NAN, NAN),
    "longest_repetition": (1, about(0, 0.01), NAN, NAN),
    "note_density": (2, about(9.7, 0.4), 2, NAN),
    "interval_mean": (0.5, about(0.125 / (1 - math.exp(-600 / 480)), 0.01), NAN, NAN),
    "interval_entropy": (0, about(1.2, 0.1), NAN, NAN),
    "length_mean": (0.5, about(8.5 / 8, 0.08), 0.5, NAN),
    "length_entropy": (0, about(2.8, 0.1), 0, NAN),
    "groove_consistency": (1, about(0, 0.12), NAN, NAN),
    "empty_beats": (0, 0, 0, NAN),
    "silence": (0, about(0, 0.01), 0, NAN),
    "pauses": (0, 0, NAN, NAN),
    "polyphony": (1, about(600 / 480 * 8.5, 1.5), 1, NAN),
    "polyphonic_time": (0, about(1, 0.02), 0, NAN),
    "key_clarity": (about(LONE_C, 1e-9), about(0.45, 0.2), about(LONE_C, 1e-9), NAN),
    "key_changes": (0, about(6 * 23 / 24, 1.3), NAN, NAN),
    "chord_changes": (NAN, about(0.7, 0.15), NAN, NAN),
    "chord_clarity": (NAN, about(0.72, 0.03), NAN, NAN),
    "short_structure": (about(1 - 2 / 60, 1e-9), about(0.2, 0.15), NAN, NAN),
    "middle_structure": (about(1 - 10 / 60, 1e-9), about(0, 0.05), NAN, NAN),
    "long_structure": (about(1 - 20 / 60, 1e-9), about(0, 0.05), NAN, NAN),
    "compression": (about(360 / 8, 10), about(1.4, 0.2), about(3 / 5, 0.01), NAN),
}
CASES = [
    (name, extreme, value)
    for name, values in DEMANDED.items()
    for extreme, value in zip(("metronome", "random", "one note", "silence"), values, strict=True)
]


def value_of(name: str, notes: Notes) -> float:
    return float(BY_NAME[name](Windows.whole(Piece.of(notes)))[0, 0])


@pytest.mark.parametrize(("name", "extreme", "demanded"), CASES)
def test_a_measure_of_an_extreme_is_what_its_definition_demands(name: str, extreme: str, demanded: float) -> None:
    value = value_of(name, EXTREMES[extreme]())
    assert value == demanded or (isinstance(demanded, float) and np.isnan(demanded) and np.isnan(value))


def test_every_measure_of_one_value_is_demanded() -> None:
    assert list(DEMANDED) == [metric.name for metric in METRICS if metric.size == 1]


def notes_of(*rows: tuple[int, int, int]) -> Notes:
    return canonical(*np.array(rows, np.int64).T)


SCALE = notes_of(*((8 * i, 8, pitch) for i, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72))))
CHROMATIC = notes_of(*((2 * i, 2, 60 + i) for i in range(24)))
ALL_KEYS = notes_of(*((0, 4, pitch) for pitch in range(21, 109)))
HELD = notes_of((0, 100, 60), (50, 1, 60), (80, 20, 60))
TRIADS = notes_of(*((16 * i, 16, 60 + k + 2 * i) for i in range(4) for k in (0, 4, 7)))
PULSE = notes_of(*((4 * i, 2, 60 + i % 2) for i in range(64)))
SWITCHING = notes_of(*((16 * bar + 2 * k + bar % 2, 1, 60) for bar in range(8) for k in range(8)))
PHRASES = notes_of(*((40 * phrase + k, 1, 60 + k) for phrase in range(4) for k in range(8)))
KEYS = notes_of(*((80 * i + 4 * k, 4, 60 + 6 * (i % 2) + (0, 4, 7, 12)[k % 4]) for i in range(6) for k in range(20)))
LOW_AND_HIGH = [  # the least and the greatest value, and notes that have them
    ("pitch_count", EXTREMES["silence"](), 0, ALL_KEYS, 88),
    ("pitch_range", metronome(), 0, ALL_KEYS, 87),
    ("pitch_mean", notes_of((0, 1, 21)), 21, notes_of((0, 1, 108)), 108),
    ("pitch_entropy", metronome(), 0, ALL_KEYS, math.log2(88)),
    ("pitch_class_entropy", metronome(), 0, CHROMATIC, math.log2(12)),
    ("transition_entropy", CHROMATIC, 0, SCALE, 0),
    ("scale_consistency", CHROMATIC, (7 / 12 - 0.7315) / (1 - 0.7315), SCALE, 1),
    ("longest_repetition", SCALE, 0, metronome(), 1),
    ("groove_consistency", SWITCHING, -1, PULSE, 1),
    ("empty_beats", metronome(), 0, notes_of((0, 1, 60), (99, 1, 60)), 23 / 25),
    ("silence", metronome(), 0, notes_of((0, 1, 60), (99, 1, 60)), 98 / 100),
    ("pauses", metronome(), 0, PHRASES, 3 / (128 / 8) * 60),
    ("polyphony", metronome(), 1, ALL_KEYS, 88),
    ("polyphonic_time", HELD, 0, TRIADS, 1),
    ("key_changes", metronome(), 0, KEYS, 6),
    ("chord_changes", notes_of(*((16 * i, 16, 60 + k) for i in range(4) for k in (0, 4, 7))), 0, TRIADS, 3 / 15),
    ("chord_clarity", ALL_KEYS, 23 / math.sqrt(3 * (4 * 8**2 + 8 * 7**2)), TRIADS, 1),
]


@pytest.mark.parametrize("case", LOW_AND_HIGH, ids=lambda case: case[0])
def test_a_worst_and_a_perfect_input_have_the_least_and_the_greatest_value(case: tuple) -> None:
    name, low, least, high, greatest = case
    assert (value_of(name, low), value_of(name, high)) == (pytest.approx(least), pytest.approx(greatest))


@pytest.mark.parametrize("name", ["scale_consistency", "key_clarity", "groove_consistency", "chord_clarity"])
def test_a_chorale_is_more_consistent_than_random_notes(name: str) -> None:
    assert value_of(name, EXTREMES["chorale"]()) > value_of(name, EXTREMES["random"]()) + 0.15


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
    assert page_with_tables(page) == page
