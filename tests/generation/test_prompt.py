"""A prompt is the beginning of a file, cut by the file's own clock or bars."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from symusic.core import NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from pianogen.config import TokenizerConfig
from pianogen.errors import SettingError, SourceError
from pianogen.generation import Prompt, read_prompt
from pianogen.tokens import decode, words_of

TICKS = 480  # in a quarter
GRID = TokenizerConfig()


@pytest.fixture
def waltz(tmp_path: Path) -> Path:
    """Eight quarters in 3/4: four at 60 quarters a minute, then four at 120; the sixth rings for four quarters."""
    score, track = ScoreTick(TICKS), TrackTick("", 0, False)
    score.time_signatures.append(TimeSignatureTick(0, 3, 4))
    score.tempos.append(TempoTick(0, qpm=60))
    score.tempos.append(TempoTick(4 * TICKS, qpm=120))
    for quarter in range(8):
        length = 4 if quarter == 5 else 1
        track.notes.append(NoteTick(quarter * TICKS, length * TICKS, 60 + quarter, 80))
    score.tracks.append(track)
    path = tmp_path / "waltz.mid"
    path.write_bytes(score.dumps_midi())
    return path


def test_a_whole_file_is_a_prompt_without_its_end(waltz):
    prompt = read_prompt(waltz, GRID)
    assert words_of(prompt.ids[:6]) == ["xxbos", "xxpad", "n60", "d4", "xxsep", "d4"]
    assert len(decode(prompt.ids, allow_open=True)) == 8
    assert prompt.num_steps == (5 + 4) * 4


@pytest.mark.parametrize(("seconds", "notes"), [(0.5, 1), (1.0, 1), (1.01, 2), (4.0, 4), (4.4, 5), (4.6, 6), (99.0, 8)])
def test_seconds_follow_the_tempo_map(waltz, seconds, notes):
    assert len(decode(read_prompt(waltz, GRID, seconds=seconds).ids, allow_open=True)) == notes


@pytest.mark.parametrize(("bars", "notes", "num_steps"), [(1, 3, 12), (2, 6, 24), (2.5, 8, 30), (3, 8, 36), (9, 8, 36)])
def test_bars_follow_the_time_signature(waltz, bars, notes, num_steps):
    prompt = read_prompt(waltz, GRID, bars=bars)
    assert (len(decode(prompt.ids, allow_open=True)), prompt.num_steps) == (notes, num_steps)


def test_a_note_before_the_cut_keeps_its_whole_length(waltz):
    notes = decode(read_prompt(waltz, GRID, bars=2).ids, allow_open=True)
    assert notes.duration[-1] == 16


@pytest.mark.parametrize(
    ("bars", "tempo", "seconds_per_step"), [(1, 60.0, 0.25), (4 / 3, 60.0, 0.25), (2, 120.0, 0.125)]
)
def test_a_continuation_has_the_last_tempo_before_the_cut(waltz, bars, tempo, seconds_per_step):
    prompt = read_prompt(waltz, GRID, bars=bars)
    assert (prompt.quarters_per_minute, prompt.seconds_per_step) == (tempo, seconds_per_step)


def test_a_finer_grid_makes_longer_bars_and_shorter_steps(waltz):
    prompt = read_prompt(waltz, TokenizerConfig(steps_per_quarter=12))
    assert (prompt.bar_steps, prompt.seconds_per_step) == (36.0, 60 / 120 / 12)


def test_a_prompt_names_its_file_and_the_hash_of_its_bytes(waltz):
    prompt = read_prompt(waltz, GRID, bars=1)
    assert (prompt.name, prompt.sha256) == ("waltz.mid", hashlib.sha256(waltz.read_bytes()).hexdigest())


def test_nothing_is_a_prompt_of_four_quarters_a_bar_at_120():
    prompt = Prompt()
    assert (prompt.ids.tolist(), prompt.num_steps, prompt.bar_steps, prompt.seconds_per_step) == ([0, 1], 0, 16, 0.125)


def test_a_silence_longer_than_the_longest_wait_moves_the_cut_too(tmp_path):
    score, track = ScoreTick(TICKS), TrackTick("", 0, False)
    for quarter in (0, 100, 101):
        track.notes.append(NoteTick(quarter * TICKS, TICKS, 60, 80))
    score.tracks.append(track)
    path = tmp_path / "silence.mid"
    path.write_bytes(score.dumps_midi())
    prompt = read_prompt(path, GRID, bars=25.25)
    assert (prompt.clock, prompt.num_steps) == (160, 164)


def test_a_cut_before_the_first_note_is_refused(tmp_path):
    score, track = ScoreTick(TICKS), TrackTick("", 0, False)
    track.notes.append(NoteTick(8 * TICKS, TICKS, 60, 80))
    score.tracks.append(track)
    path = tmp_path / "late.mid"
    path.write_bytes(score.dumps_midi())
    with pytest.raises(SettingError, match="no note on the keyboard in its first 16 steps"):
        read_prompt(path, GRID, bars=1)


def test_both_cuts_at_once_are_refused(waltz):
    with pytest.raises(SettingError, match=r"'prompt_seconds' \(2\) and 'prompt_bars' \(1\) exclude each other"):
        read_prompt(waltz, GRID, seconds=2, bars=1)


@pytest.mark.parametrize("name", ["missing.mid", "text.mid", "music.pdf"])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path, name):
    if name != "missing.mid":
        (tmp_path / name).write_text("no music")
    with pytest.raises(SourceError, match=name):
        read_prompt(tmp_path / name, GRID)


def test_tokens_of_a_prompt_are_small_integers(waltz):
    assert read_prompt(waltz, GRID).ids.dtype == np.int16
