"""The sound of a performance or a piece, and audio files of it. Shapes: C channels, S frames."""

import io
import wave
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32

from pianogen.config import GenerateConfig, RenderConfig
from pianogen.errors import SettingError
from pianogen.render.loudness import normalised
from pianogen.render.soundfont import Region, default_soundfont, read_piano
from pianogen.render.synthesis import RATE, PlayedNotes, synthesize
from pianogen.tokens import Notes, RawNotes
from pianogen.tokens.midi import VELOCITY
from pianogen.tokens.pedal import sustained

SoundFormat = Literal["wav", "flac", "ogg", "mp3"]
SOUND_FORMATS: tuple[SoundFormat, ...] = get_args(SoundFormat)
_FRAMES_AT_ONCE = 1 << 16  # libsndfile's Vorbis encoder overflows the stack on long sounds


def played(raw: RawNotes) -> PlayedNotes:
    """The notes of a performance at its own tempo; the sustain pedal lengthens them."""
    duration = sustained(raw.onset, raw.duration, raw.pitch, raw.pedals)
    onset, release = (
        raw.tempo_map.seconds_of(ticks, raw.ticks_per_quarter) for ticks in (raw.onset, raw.onset + duration)
    )
    velocity = np.full(len(raw), VELOCITY) if raw.velocity is None else np.clip(raw.velocity, 1, 127)
    return PlayedNotes(onset, release - onset, raw.pitch, velocity)


def played_piece(notes: Notes, seconds_per_step: float) -> PlayedNotes:
    """The notes of a piece, all with the velocity of its MIDI file."""
    onset, duration = notes.onset * seconds_per_step, notes.duration * seconds_per_step
    return PlayedNotes(onset, duration, notes.pitch, np.full(len(notes), VELOCITY))


def piano_sound(notes: PlayedNotes, soundfont: str | None = None) -> Float32[np.ndarray, "C S"]:
    """Notes on the piano of a SoundFont, by default TimGM6mb, at -23 LUFS and 44.1 kHz.

    Raises:
        SettingError: The SoundFont cannot be read.
        SourceError: The notes last too long.
    """
    return normalised(synthesize(notes, piano_of(soundfont)), RATE)


@cache
def piano_of(soundfont: str | None) -> list[Region]:
    """The piano of a SoundFont file, by default of TimGM6mb; read once.

    Raises:
        SettingError: It cannot be read.
    """
    return read_piano(Path(soundfont) if soundfont else default_soundfont())


def encode_sound(sound: Float32[np.ndarray, "C S"], form: SoundFormat) -> bytes:
    """An audio file: WAV and FLAC with 16 bits, Ogg Vorbis, or MP3.

    Raises:
        SettingError: The installed libsndfile cannot write the format.
    """
    return _wav(sound) if form == "wav" else _by_libsndfile(sound, form)


def sound_formats(config: RenderConfig | GenerateConfig) -> list[SoundFormat]:
    """The formats of sound that settings ask for."""
    return [form for form in SOUND_FORMATS if getattr(config, form)]


def check_sound(forms: list[SoundFormat], soundfont: str | None) -> None:
    """Report at once what would fail for every file.

    Raises:
        SettingError: libsndfile is missing or cannot write a format, or the SoundFont cannot be read.
    """
    for form in forms:
        if form != "wav":
            _check_format(form)
    if forms:
        piano_of(soundfont)


@cache
def _check_format(form: SoundFormat) -> None:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: there is no libsndfile
        raise SettingError(f"the sound format {form} needs the package soundfile ({error}); use wav") from error
    if form.upper() not in soundfile.available_formats():
        raise SettingError(
            f"libsndfile {soundfile.__libsndfile_version__} cannot write the sound format {form}; use wav or flac, or"
            " install libsndfile 1.1"
        )


def _wav(sound: Float32[np.ndarray, "C S"]) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(sound))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(sound.T * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _by_libsndfile(sound: Float32[np.ndarray, "C S"], form: SoundFormat) -> bytes:
    _check_format(form)
    import soundfile

    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", RATE, len(sound), format=form.upper()) as file:
        for first in range(0, sound.shape[1], _FRAMES_AT_ONCE):
            file.write(sound[:, first : first + _FRAMES_AT_ONCE].T)
    return buffer.getvalue()
