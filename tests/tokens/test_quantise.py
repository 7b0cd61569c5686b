"""Quantisation: exact rounding, merging, caps, and a report that accounts for every note."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from note_tables import performances, raw_of, rows_of

from pianogen.config import TokenizerConfig
from pianogen.tokens.notes import QuantisationReport, RawNotes, quantise

PAPER = TokenizerConfig()


@given(
    tick=st.integers(0, 2**31 - 1),
    ticks_per_quarter=st.one_of(st.integers(1, 32767), st.sampled_from([8, 96, 480])),
    steps_per_quarter=st.integers(1, 48),
)
def test_onsets_round_half_to_even_exactly(tick: int, ticks_per_quarter: int, steps_per_quarter: int) -> None:
    raw = raw_of([(tick, 1, 60)], ticks_per_quarter)
    notes, _ = quantise(raw, TokenizerConfig(steps_per_quarter=steps_per_quarter))
    assert notes.onset.tolist() == [round(Fraction(tick * steps_per_quarter, ticks_per_quarter))]


def test_halves_are_rounded_to_the_even_step() -> None:
    halves = raw_of([(tick, 120, 60) for tick in (60, 180, 300, 420)])  # 0.5, 1.5, 2.5, 3.5 steps
    assert quantise(halves, PAPER)[0].onset.tolist() == [0, 2, 4]


@given(performances(), st.sampled_from(["keep", "drop"]), st.integers(1, 48))
def test_every_note_read_is_accounted_for(raw: RawNotes, short_notes: str, steps_per_quarter: int) -> None:
    config = TokenizerConfig(steps_per_quarter=steps_per_quarter, short_notes=short_notes)  # type: ignore[arg-type]
    notes, report = quantise(raw, config)
    accounted = report.kept + report.dropped_short + report.merged + report.out_of_range
    assert (report.read, report.kept) == (accounted, len(notes))


@given(performances())
def test_the_table_is_in_canonical_order_without_repeats(raw: RawNotes) -> None:
    rows = [(onset, -pitch) for onset, _, pitch in rows_of(quantise(raw, PAPER)[0])]
    assert rows == sorted(set(rows))


@given(performances())
def test_quantisation_equals_a_loop_over_notes(raw: RawNotes) -> None:
    longest: dict[tuple[int, int], int] = {}
    for onset, duration, pitch in rows_of(raw):
        start, steps = (round(Fraction(4 * ticks, raw.ticks_per_quarter)) for ticks in (onset, duration))
        if 21 <= pitch <= 108:
            longest[start, -pitch] = max(longest.get((start, -pitch), 0), min(max(steps, 1), 128))
    expected = [(start, steps, -low) for (start, low), steps in sorted(longest.items())]
    assert rows_of(quantise(raw, PAPER)[0]) == expected


def test_of_equal_onset_and_pitch_the_longest_note_is_kept() -> None:
    notes, report = quantise(raw_of([(0, 240, 60), (0, 960, 60), (10, 480, 60)]), PAPER)
    assert (rows_of(notes), report.merged) == ([(0, 8, 60)], 2)


def test_a_note_within_a_longer_note_of_its_pitch_is_kept() -> None:
    assert rows_of(quantise(raw_of([(0, 1920, 60), (480, 480, 60)]), PAPER)[0]) == [(0, 16, 60), (4, 4, 60)]


def test_a_short_note_becomes_one_step_and_is_counted() -> None:
    notes, report = quantise(raw_of([(0, 59, 60), (480, 60, 62), (960, 61, 64)]), PAPER)
    assert (notes.duration.tolist(), report.shortened_to_minimum) == ([1, 1, 1], 2)


def test_a_short_note_is_dropped_by_setting() -> None:
    notes, report = quantise(raw_of([(0, 59, 60), (480, 61, 62)]), TokenizerConfig(short_notes="drop"))
    assert (rows_of(notes), report.dropped_short, report.shortened_to_minimum) == ([(4, 1, 62)], 1, 0)


def test_long_notes_are_capped_and_counted() -> None:
    notes, report = quantise(raw_of([(0, 128 * 120, 60), (0, 200 * 120, 62)]), PAPER)
    assert (notes.duration.tolist(), report.capped_durations) == ([128, 128], 1)


def test_long_waits_are_counted_including_the_first() -> None:
    rows = [(161 * 120, 120, 60), (321 * 120, 120, 60), (482 * 120, 120, 60)]  # waits of 161, 160 and 161 steps
    assert quantise(raw_of(rows), PAPER)[1].capped_waits == 2


def test_pitches_outside_the_keyboard_are_left_out_and_counted() -> None:
    notes, report = quantise(raw_of([(0, 480, pitch) for pitch in (-116, 20, 21, 108, 109, 127)]), PAPER)
    assert (notes.pitch.tolist(), report.out_of_range) == ([108, 21], 4)


def test_notes_released_under_an_ignored_pedal_are_counted() -> None:
    pedals = (np.array([0, 1000]), np.array([480, 1200]))
    raw = raw_of([(0, 479, 60), (0, 480, 62), (900, 100, 64), (900, 400, 65)], pedals=pedals)
    assert quantise(raw, PAPER)[1].pedal_ignored == 2


def test_pedal_extend_lengthens_notes_and_counts_none_as_ignored() -> None:
    raw = raw_of([(0, 120, 60)], pedals=(np.array([60]), np.array([960])))
    notes, report = quantise(raw, TokenizerConfig(pedal="extend"))
    assert (rows_of(notes), report.pedal_ignored) == ([(0, 8, 60)], 0)


def test_reports_add_up() -> None:
    total = QuantisationReport(read=3, merged=1) + QuantisationReport(read=1, grace_notes=2)
    assert total == QuantisationReport(read=4, merged=1, grace_notes=2)


@pytest.mark.parametrize(
    ("report", "merged"), [(QuantisationReport(read=8, merged=2), 25.0), (QuantisationReport(), 0)]
)
def test_percentages_are_of_the_notes_read(report: QuantisationReport, merged: float) -> None:
    assert report.percent()["merged"] == merged


@given(performances(), st.sampled_from([0.9, 0.95, 1.05, 1.1]))
def test_a_tempo_factor_scales_time_exactly(raw: RawNotes, factor: float) -> None:
    played = raw.at_tempo(factor)
    quarters = [Fraction(tick, played.ticks_per_quarter) for tick in played.onset.tolist()]
    speed = Fraction(str(factor))
    assert quarters == [Fraction(tick, raw.ticks_per_quarter) / speed for tick in raw.onset.tolist()]
