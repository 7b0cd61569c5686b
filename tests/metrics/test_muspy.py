"""The measures of music beside muspy on the same MIDI files: equal where the definitions agree, and how they differ."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pianogen.metrics.music import METRICS, Piece, Windows
from pianogen.metrics.music.extremes import EXTREMES, uniform_random
from pianogen.metrics.music.pitch import _SCALES
from pianogen.tokens import write_midi
from pianogen.tokens.notes import Notes

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # old ways of importing, in packages that muspy loads
    import muspy

BY_NAME = {metric.name: metric for metric in METRICS}
PIECES = ("metronome", "random", "sparse random", "chorale")
EQUAL = {
    "pitch_count": "n_pitches_used",
    "pitch_range": "pitch_range",
    "pitch_entropy": "pitch_entropy",
    "pitch_class_entropy": "pitch_class_entropy",
    "polyphony": "polyphony",
}


def ours(name: str, notes: Notes) -> float:
    return float(BY_NAME[name](Windows.whole(Piece.of(notes)))[0, 0])


def theirs(notes: Notes, folder: Path) -> Any:
    """The music as muspy reads it, on our grid."""
    start = int(notes.onset.min())
    write_midi(Notes(notes.onset - start, notes.duration, notes.pitch), folder / "piece.mid")
    music = muspy.read_midi(folder / "piece.mid")
    return music.adjust_resolution(4)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("name", EQUAL)
def test_measures_of_the_same_definition_are_equal(name: str, piece: str, tmp_path: Path) -> None:
    notes = EXTREMES[piece]()
    expected = getattr(muspy, EQUAL[name])(theirs(notes, tmp_path))
    assert ours(name, notes) == pytest.approx(expected)


@pytest.mark.parametrize("piece", PIECES)
def test_muspy_counts_as_polyphony_three_pitches_and_also_silent_time(piece: str, tmp_path: Path) -> None:
    notes = EXTREMES[piece]()
    sounding = 1 - ours("silence", notes)
    assert ours("polyphonic_time", notes) * sounding == pytest.approx(
        muspy.polyphony_rate(theirs(notes, tmp_path), threshold=1)
    )


@pytest.mark.parametrize("piece", PIECES)
def test_muspy_counts_one_beat_more_and_the_beat_in_which_a_note_ends(piece: str, tmp_path: Path) -> None:
    notes = EXTREMES[piece]()
    assert muspy.empty_beat_rate(theirs(notes, tmp_path)) <= ours("empty_beats", notes)


@pytest.mark.parametrize(("name", "measure"), [("groove_consistency", "groove"), ("scale_consistency", "scale")])
def test_muspy_scores_sparse_random_notes_high_and_this_does_not(name: str, measure: str, tmp_path: Path) -> None:
    values = []
    for piece in range(20):
        notes = uniform_random(10, 480, piece=piece)
        music = theirs(notes, tmp_path)
        their = muspy.groove_consistency(music, 16) if measure == "groove" else muspy.scale_consistency(music)
        values.append((ours(name, notes), their))
    our, their = np.nanmean(values, axis=0).tolist()
    assert their > 0.78
    assert abs(our) < 0.1


@pytest.mark.parametrize("piece", PIECES)
def test_scale_consistency_is_muspys_corrected_for_chance(piece: str, tmp_path: Path) -> None:
    notes = EXTREMES[piece]()
    share = muspy.scale_consistency(theirs(notes, tmp_path))
    drawn = np.random.Generator(np.random.Philox(2)).multinomial(len(notes), [1 / 12] * 12, size=20_000)
    chance = (drawn @ _SCALES.T).max(axis=1).mean() / len(notes)
    assert ours("scale_consistency", notes) == pytest.approx((share - chance) / (1 - chance), abs=0.02)
