"""The sound of notes is listened to by measurement: length, loudness, peak, pitch, and what the pedal does."""

import io

import numpy as np
import pyloudnorm
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import SettingError, SourceError
from pianogen.render.loudness import loudness, normalised
from pianogen.render.sound import SOUND_FORMATS, encode_sound, piano_of, piano_sound, played
from pianogen.render.synthesis import RATE, PlayedNotes, synthesize
from pianogen.tokens import RawNotes
from pianogen.tokens.pedal import no_pedals
from pianogen.tokens.tempo import TempoMap


def notes_of(*rows: tuple[float, float, int, int]) -> PlayedNotes:
    """Notes from onset and duration in seconds, pitch and velocity."""
    onset, duration, pitch, velocity = zip(*rows, strict=True)
    return PlayedNotes(np.array(onset), np.array(duration), np.array(pitch), np.array(velocity))


def sound_of(*rows: tuple[float, float, int, int]) -> np.ndarray:
    return synthesize(notes_of(*rows), piano_of(None))


def level(sound: np.ndarray, start_s: float, end_s: float) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(sound[:, round(start_s * RATE) : round(end_s * RATE)] ** 2)))


def cents_from(sound: np.ndarray, pitch: int) -> float:
    """How far the strongest partial near a pitch is from it, where most of the energy must be in its harmonics."""
    part = sound[0, RATE // 10 : RATE // 10 + (1 << 16)]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 19)) ** 2
    frequency = np.fft.rfftfreq(1 << 19, 1 / RATE)
    fundamental = 440 * 2 ** ((pitch - 69) / 12)
    harmonic = frequency / fundamental
    near = np.abs(harmonic - np.maximum(np.rint(harmonic), 1)) < 0.04 * np.maximum(np.rint(harmonic), 1)
    assert power[near].sum() > 0.9 * power.sum()
    first = np.flatnonzero(np.abs(harmonic - 1) < 0.03)
    return 1200 * float(np.log2(frequency[first[np.argmax(power[first])]] / fundamental))


@pytest.mark.parametrize("pitch", [21, 36, 48, 60, 69, 81, 96, 108])
def test_a_note_sounds_at_its_pitch(pitch):
    assert abs(cents_from(sound_of((0, 2, pitch, 80)), pitch)) < 10


@settings(max_examples=5, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 1), st.integers(21, 108), st.integers(1, 127)), min_size=2))
def test_the_sound_of_two_sets_of_notes_is_the_sum_of_theirs(rows):
    whole, *parts = (sound_of(*some) for some in (rows, rows[::2], rows[1::2]))
    total = np.zeros_like(whole)
    for part in parts:
        total[:, : part.shape[1]] += part[:, : whole.shape[1]]
    np.testing.assert_allclose(total, whole, atol=1e-5)


def test_it_lasts_until_the_last_note_has_faded():
    sound = sound_of((0, 1, 60, 80), (3, 1, 64, 80))
    assert 4.5 < sound.shape[1] / RATE < 6
    assert level(sound, 4, 4.1) > 30 * level(sound, 4.6, sound.shape[1] / RATE)


def test_twice_the_velocity_is_four_times_the_amplitude():
    soft, loud = (level(sound_of((0, 1, 60, velocity)), 0, 1) for velocity in (50, 100))
    assert loud == pytest.approx(4 * soft, rel=1e-3)


def test_a_key_outside_the_instrument_is_silent():
    assert not sound_of((0, 1, 120, 80)).any()


def test_longer_than_an_hour_is_refused():
    with pytest.raises(SourceError, match="last 61 minutes, and sound at most 60"):
        sound_of((0, 1, 60, 80), (3659, 1, 60, 80))


def test_notes_follow_the_tempo_marks():
    tempo = TempoMap(np.array([0, 480]), np.array([120.0, 60.0]))
    raw = RawNotes(np.array([0, 480, 960]), np.array([480, 480, 480]), np.array([60] * 3), 480, tempo_map=tempo)
    notes = played(raw)
    assert notes.onset.tolist() == [0.0, 0.5, 1.5]
    assert notes.duration.tolist() == [0.5, 1.0, 1.0]


def test_the_pedal_holds_a_note_that_is_released():
    one = np.array([0]), np.array([240]), np.array([60]), 480
    pedal = np.array([100]), np.array([1920])
    dry, held = (synthesize(played(RawNotes(*one, pedals=down)), piano_of(None)) for down in (no_pedals(), pedal))
    assert level(held, 1.2, 1.6) > 100 * level(dry, 0.9, 1.2)


MUSIC = [(0.25 * i, 0.4, 48 + (7 * i) % 30, 40 + (11 * i) % 80) for i in range(60)]


def test_it_is_at_minus_23_lufs_by_another_meter():
    sound = piano_sound(notes_of(*MUSIC))
    meter = pyloudnorm.Meter(RATE, filter_class="DeMan")  # the coefficients of the standard
    assert meter.integrated_loudness(sound.T.astype(float)) == pytest.approx(-23, abs=0.02)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.integers(4, 30), st.sampled_from([1, 2]), st.sampled_from([22050, 44100, 48000]))
def test_loudness_is_that_of_pyloudnorm(seed, hops, channels, rate):
    random = np.random.default_rng(seed)
    noise = random.standard_normal((channels, hops * rate // 10))
    shape = np.interp(np.arange(noise.shape[1]), np.linspace(0, noise.shape[1], 6), random.uniform(0, 0.5, 6))
    sound = (noise * shape).astype(np.float32)
    other = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(sound.T.astype(float))
    assert loudness(sound, rate) == pytest.approx(other, abs=0.05)


@pytest.mark.parametrize("rows", [MUSIC, [(0, 0.02, 108, 127)], [(2 * i, 0.02, 60, 127) for i in range(5)]])
def test_the_peak_is_below_minus_1_dbfs(rows):
    assert 0 < np.abs(piano_sound(notes_of(*rows))).max() <= 10 ** (-1 / 20) + 1e-6


def test_silence_stays_silent():
    assert not normalised(np.zeros((2, RATE), dtype=np.float32), RATE).any()


@pytest.mark.parametrize("form", SOUND_FORMATS)
def test_every_format_holds_the_sound(form):
    sound = piano_sound(notes_of(*MUSIC[:12]))
    back, rate = soundfile.read(io.BytesIO(encode_sound(sound, form)), always_2d=True)
    assert rate == RATE
    lag = np.argmax(np.correlate(back[: 2 * RATE, 0], sound[0, :RATE], "valid")) if form == "mp3" else 0
    difference = back[lag : lag + RATE, 0] - sound[0, :RATE]
    tolerance = 0.15 * float(np.linalg.norm(sound[0, :RATE])) if form in ("ogg", "mp3") else RATE**0.5 / 32767
    assert np.linalg.norm(difference) < tolerance


def test_a_wav_file_is_the_same_bytes_again():
    first, again = (encode_sound(piano_sound(notes_of(*MUSIC[:8])), "wav") for _ in range(2))
    assert first == again


def test_a_file_that_is_not_a_soundfont_is_refused(tmp_path):
    path = tmp_path / "a.sf2"
    path.write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(SettingError, match="is not a SoundFont that can be read"):
        piano_of(str(path))
