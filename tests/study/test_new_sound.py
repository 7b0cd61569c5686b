"""The sound of clips: one length and one loudness, whatever the music."""

import io

import numpy as np
import pytest
import soundfile

from pianogen.render.loudness import loudness
from pianogen.render.sound import encode_sound
from pianogen.render.synthesis import RATE, PlayedNotes
from pianogen.study.clips import clip_sound, seconds_of_check, separate_notes


def music(count: int, last_s: float) -> PlayedNotes:
    """Chords of five notes, evenly spaced."""
    onset = np.linspace(0, last_s, count)
    return PlayedNotes(onset, np.full(count, 0.5), 40 + 9 * (np.arange(count) % 5), np.full(count, 80))


@pytest.mark.parametrize("notes", [music(200, 20.0), music(12, 3.0), music(4, 19.5)])
def test_dense_short_and_sparse_music_have_one_length_and_one_loudness(notes: PlayedNotes) -> None:
    sound = clip_sound(notes, 20.0, None)
    assert sound.shape[1] == 20 * RATE
    assert abs(loudness(sound, RATE) + 23) < 0.1


def test_the_sound_begins_and_ends_in_silence() -> None:
    sound = clip_sound(music(80, 20.0), 20.0, None)
    assert np.abs(sound[:, [0, -1]]).max() < 1e-4
    assert np.abs(sound[:, -2 * RATE : -RATE]).max() > 0.01


def test_a_check_sounds_as_often_as_it_has_notes_also_as_a_file() -> None:
    seconds = seconds_of_check(4)
    notes = separate_notes(4, np.random.Generator(np.random.Philox(1)))
    data = encode_sound(clip_sound(notes, seconds, None), "mp3")
    sound, rate = soundfile.read(io.BytesIO(data), always_2d=True)
    assert abs(len(sound) / rate - seconds) < 0.1  # MP3 adds some frames of silence
    hop = rate // 20
    level = np.abs(sound).max(axis=1)[: len(sound) // hop * hop].reshape(-1, hop).max(axis=1)
    assert np.count_nonzero(level[1:] > 3 * level[:-1] + 0.01) == 4
