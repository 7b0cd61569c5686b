"""The sound of clips: the same length, loudness and piano for all, and clips of a few separate notes.

Shapes: C channels, S frames.
"""

import numpy as np
from jaxtyping import Float32
from numpy.random import Generator

from pianogen.render.loudness import normalised
from pianogen.render.sound import piano_of
from pianogen.render.synthesis import RATE, PlayedNotes, synthesize
from pianogen.tokens.midi import VELOCITY

FADE_IN_S, FADE_OUT_S = 0.01, 1.0
_NOTE_S, _NOTE_EVERY_S = 0.7, 1.1  # of a check: notes that nobody takes for one
_CHECK_PITCHES = np.array([60, 62, 64, 65, 67, 69, 71, 72])


def clip_sound(notes: PlayedNotes, seconds: float, soundfont: str | None) -> Float32[np.ndarray, "C S"]:
    """Exactly `seconds` of sound with a short fade at both ends, at the loudness of `pianogen.render.loudness`.

    Raises:
        SettingError: The SoundFont cannot be read.
    """
    sound = synthesize(notes, piano_of(soundfont))
    frames = round(seconds * RATE)
    sound = np.pad(sound[:, :frames], ((0, 0), (0, max(0, frames - sound.shape[1]))))
    fade_in, fade_out = (np.linspace(0, 1, round(fade * RATE), dtype=np.float32) for fade in (FADE_IN_S, FADE_OUT_S))
    sound[:, : len(fade_in)] *= fade_in
    sound[:, -len(fade_out) :] *= fade_out[::-1]
    return normalised(sound, RATE)


def separate_notes(count: int, random: Generator) -> PlayedNotes:
    """So many notes of a scale, one after the other, neighbours at different pitches."""
    steps = random.integers(1, len(_CHECK_PITCHES), count)
    onset = 0.2 + np.arange(count) * _NOTE_EVERY_S
    pitch = _CHECK_PITCHES[np.cumsum(steps) % len(_CHECK_PITCHES)]
    return PlayedNotes(onset, np.full(count, _NOTE_S), pitch, np.full(count, VELOCITY))


def seconds_of_check(count: int) -> float:
    """The length of a clip of so many separate notes."""
    return 0.2 + count * _NOTE_EVERY_S + FADE_OUT_S
