"""The measures of music: against a slow implementation, within their ranges, and unchanged by what must not matter."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from metrics.music_oracle import ORACLE, windows

from pianogen.metrics.music import METRICS, Metric, Piece, Windows
from pianogen.metrics.music.pitch import _CHANCE_NOTES, _CHANCE_SHARE, _SCALES
from pianogen.tokens.notes import Notes, canonical

BY_NAME = {metric.name: metric for metric in METRICS}
OF_WINDOWS = [metric for metric in METRICS if not metric.whole_only]


@st.composite
def pieces(draw: st.DrawFn, max_notes: int = 20) -> Piece:
    notes = st.tuples(st.integers(0, 100), st.integers(1, 30), st.integers(21, 108))
    rows = np.array(draw(st.lists(notes, max_size=max_notes)), np.int64).reshape(-1, 3)
    return Piece.of(canonical(*rows.T), draw(st.sampled_from([1, 4, 12])))


@st.composite
def windows_of_pieces(draw: st.DrawFn) -> Windows:
    piece = draw(pieces())
    steps = draw(st.sampled_from([0, 1, 7, 16, 80]))
    return Windows(piece, steps, piece.num_steps // steps) if steps else Windows.whole(piece)


@pytest.mark.parametrize("name", ORACLE)
@settings(max_examples=12)
@given(made=windows_of_pieces())
def test_all_windows_at_once_equal_each_window_note_by_note(name: str, made: Windows) -> None:
    slow = [ORACLE[name](window) for window in windows(made.piece, made.steps, made.num)]
    expected = np.array(slow, float).reshape(made.num, BY_NAME[name].size)
    np.testing.assert_allclose(BY_NAME[name](made), expected, atol=1e-9)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@settings(max_examples=12)
@given(piece=pieces())
@example(piece=Piece.of(Notes(np.arange(5), np.ones(5, int), 60 + np.arange(5)), 4))
def test_every_value_is_in_the_range_that_its_metric_states(metric: Metric, piece: Piece) -> None:
    values = metric(Windows.whole(piece))
    assert np.all(np.isnan(values) | ((values >= metric.low - 1e-9) & (values <= metric.high + 1e-9)))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@settings(max_examples=8)
@given(piece=pieces(), later=st.integers(0, 1000))
def test_silence_before_the_first_note_changes_nothing(metric: Metric, piece: Piece, later: int) -> None:
    notes = piece.notes
    moved = Piece.of(Notes(notes.onset + later, notes.duration, notes.pitch), piece.steps_per_quarter)
    np.testing.assert_array_equal(metric(Windows.whole(moved)), metric(Windows.whole(piece)))


TRANSPOSED = {"pitch_mean", "pitch_class_histogram", "pitch_class_transitions"}


@pytest.mark.parametrize("metric", [m for m in METRICS if m.name not in TRANSPOSED], ids=lambda metric: metric.name)
@settings(max_examples=8)
@given(piece=pieces())
def test_transposition_changes_only_the_measures_that_name_pitches(metric: Metric, piece: Piece) -> None:
    notes, up = piece.notes, 108 - int(piece.notes.pitch.max(initial=21))
    up = min(up, 5)
    higher = Piece.of(Notes(notes.onset, notes.duration, notes.pitch + up), piece.steps_per_quarter)
    before, after = metric(Windows.whole(piece)), metric(Windows.whole(higher))
    # ties between keys and chords may fall otherwise; the first byte of the compressed notes is a pitch
    tolerance = {"key_changes": 6.0, "chord_changes": 1.0, "compression": 0.5}.get(metric.name, 1e-6)
    np.testing.assert_allclose(after, before, atol=tolerance)


@given(piece=pieces(), seconds=st.floats(1, 200))
def test_a_beginning_sounds_as_the_piece_does_until_it_ends(piece: Piece, seconds: float) -> None:
    beginning, stop = piece.beginning(seconds), max(1, round(seconds * piece.steps_per_second))
    np.testing.assert_array_equal(beginning.roll, piece.roll[:stop][: beginning.num_steps])
    assert not piece.roll[beginning.num_steps : stop].any()
    assert np.array_equal(beginning.notes.onset, [onset for onset in piece.notes.onset if onset < stop])


@pytest.mark.parametrize("metric", OF_WINDOWS, ids=lambda metric: metric.name)
def test_a_piece_shorter_than_the_window_has_no_window(metric: Metric) -> None:
    piece = Piece.of(canonical(np.array([0]), np.array([4]), np.array([60])))
    assert metric(Windows.of_seconds(piece, 10)).shape == (0, metric.size)


@pytest.mark.parametrize(("num_notes", "share"), list(zip(_CHANCE_NOTES, _CHANCE_SHARE, strict=True)))
def test_the_share_of_the_best_scale_by_chance_is_that_of_random_notes(num_notes: int, share: float) -> None:
    random = np.random.Generator(np.random.Philox(1))
    drawn = random.multinomial(num_notes, [1 / 12] * 12, size=20_000) @ _SCALES.T
    assert drawn.max(axis=1).mean() / num_notes == pytest.approx(share, abs=0.004)


@pytest.mark.parametrize("name", ["scale_consistency", "groove_consistency"])
@pytest.mark.parametrize("num_notes", [8, 20, 60, 200, 800])
def test_random_notes_however_sparse_are_not_consistent(name: str, num_notes: int) -> None:
    random = np.random.Generator(np.random.Philox(num_notes))
    values = [
        BY_NAME[name](
            Windows.whole(Piece.of(canonical(onset, np.ones_like(onset), random.integers(21, 109, num_notes))))
        )
        for onset in (random.integers(0, 480, num_notes) for _ in range(60))
    ]
    assert abs(np.nanmean(values)) < 0.06
