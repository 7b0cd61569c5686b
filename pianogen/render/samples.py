"""Thirty notes of a SoundFont's piano for the player of a page: one script beside it, which a page on disk may load.

The script holds audio files as base64 text, of Ogg Vorbis beside pages on disk. A browser that cannot decode them
(Safari before 18.4) plays the oscillator of piano.js instead; a server offers it MP3.
"""

import base64
import json

import numpy as np
from jaxtyping import Float32

from pianogen.render.sound import SoundFormat, encode_sound, piano_of
from pianogen.render.synthesis import RATE, PlayedNotes, synthesize
from pianogen.tokens.midi import VELOCITY

SOUND_FILE = "sound.js"
SAMPLED_KEYS = range(21, 109, 3)  # A0 to C8; piano.js knows them too
_LENGTH_S = 6.0
_FADE_S = 0.5  # at the end of a note that sounds longer
_PEAK = 0.5  # of the loudest note; several sound at once


def samples_script(soundfont: str | None = None, form: SoundFormat = "ogg") -> str:
    """The text of sound.js, for the piano of a SoundFont, by default TimGM6mb, with files of a format.

    Raises:
        SettingError: The SoundFont cannot be read, or libsndfile cannot write the format.
    """
    sounds = {key: _sample(key, soundfont) for key in SAMPLED_KEYS}
    loudest = max(float(np.abs(sound).max()) for sound in sounds.values())
    level = np.float32(_PEAK / loudest if loudest else 1)
    files = {key: base64.b64encode(encode_sound(sound * level, form)).decode() for key, sound in sounds.items()}
    return f"globalThis.pianogenSamples = {json.dumps(files)};\n"


def _sample(key: int, soundfont: str | None) -> Float32[np.ndarray, "C S"]:
    one = PlayedNotes(np.zeros(1), np.full(1, _LENGTH_S), np.full(1, key), np.full(1, VELOCITY))
    sound = synthesize(one, piano_of(soundfont))[:, : round(_LENGTH_S * RATE)]
    left_s = _LENGTH_S - np.arange(sound.shape[1]) / RATE
    return sound * np.clip(left_s / _FADE_S, 0, 1).astype(np.float32)
