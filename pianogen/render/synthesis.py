"""Notes to sound, by the recordings of a SoundFont.

Each key is computed once, as long as its longest note; a note adds a piece of it to the mix, and its fading end.
symusic's synthesizer is not used: it ignores velocities and the keys that recordings are made at (middle C of TimGM6mb
sounds at 831 Hz), and notes end without a release. Shapes: N notes, C channels, S frames of the sound, F frames of a
recording, L frames of a string, R frames of a release.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from pianogen.errors import SourceError
from pianogen.render.soundfont import Envelope, Region

RATE = 44100  # frames per second
MAX_MINUTES = 60  # 1.3 GB
_SILENT_DB = 80.0  # below the peak of a note
_ENVELOPE_DB = 100.0  # the range that the times of decay and release are for
_NEPER_PER_DB = float(np.log(10)) / 20  # of amplitudes
_NO_FILTER_HZ = 18000.0
_FILTER_FRAMES = 1024  # of a block; every second half of one begins a new block
_TAIL_S = 0.5  # silence after the last note


@dataclass(frozen=True)
class PlayedNotes:
    """Notes in seconds."""

    onset: Float[np.ndarray, " N"]
    duration: Float[np.ndarray, " N"]
    """How long the string sounds undamped: the pedal is included."""
    pitch: Int[np.ndarray, " N"]
    velocity: Int[np.ndarray, " N"]


def synthesize(notes: PlayedNotes, piano: Sequence[Region]) -> Float32[np.ndarray, "C S"]:
    """The sound of notes at `RATE`, until the last one has faded: left and right, or one channel if they are the same.

    Raises:
        SourceError: It is longer than `MAX_MINUTES`.
    """
    end_s = float((notes.onset + notes.duration).max(initial=0.0))
    if end_s > 60 * MAX_MINUTES:
        raise SourceError(
            f"the notes last {end_s / 60:,.0f} minutes, and sound at most {MAX_MINUTES}; leave the sound out, or cut it"
        )
    onset, held = (np.rint(values * RATE).astype(np.int64) for values in (notes.onset, notes.duration))
    ramps = {region.volume.release: _release_ramp(region.volume.release) for region in piano}
    is_mono = len({region.pan for region in piano}) == 1
    longest = _frames(end_s) + max(map(len, ramps.values()), default=0) + 1
    mix = np.zeros((1 if is_mono else 2, longest + _frames(_TAIL_S)), dtype=np.float32)
    end = 1
    for region, key, chosen in _notes_by_key(notes, piano):
        ramp = ramps[region.volume.release]
        string = _string(region, key, int(held[chosen].max()) + len(ramp))
        gain = (notes.velocity[chosen] / 127.0) ** 2 * region.gain
        for channel, share in zip(mix, [1.0] if is_mono else _shares(region.pan), strict=True):
            if share:
                _add(channel, string, ramp, onset[chosen].tolist(), held[chosen].tolist(), (gain * share).tolist())
        end = max(end, int((onset + held)[chosen].max()) + len(ramp))
    return mix[:, : end + _frames(_TAIL_S)]


def _notes_by_key(notes: PlayedNotes, piano: Sequence[Region]) -> Iterator[tuple[Region, int, Int[np.ndarray, " M"]]]:
    """Each region and key, with the notes that it sounds for."""
    for key in np.unique(notes.pitch).tolist():
        of_key = np.flatnonzero(notes.pitch == key)
        for region in piano:
            low, high = region.velocities
            chosen = of_key[(notes.velocity[of_key] >= low) & (notes.velocity[of_key] <= high)]
            if region.keys[0] <= key <= region.keys[1] and len(chosen):
                yield region, key, chosen


def _add(
    channel: Float32[np.ndarray, " S"],
    string: Float32[np.ndarray, " L"],
    ramp: Float32[np.ndarray, " R"],
    onsets: list[int],
    lengths: list[int],
    gains: list[float],
) -> None:
    """Add the notes of one key to one channel: `string` until the note ends, then as it fades."""
    for onset, held, gain in zip(onsets, lengths, gains, strict=True):
        level = np.float32(gain)
        undamped = string[:held]
        channel[onset : onset + len(undamped)] += undamped * level
        fading = string[held : held + len(ramp)]
        channel[onset + held : onset + held + len(fading)] += fading * (ramp[: len(fading)] * level)


def _string(region: Region, key: int, length: int) -> Float32[np.ndarray, " L"]:
    """What a key sounds like undamped, at most `length` frames long."""
    volume = _volume(region.volume, min(length, _audible_frames(region.volume)))
    string = _at_speed(region, region.speed(key) * region.rate / RATE, len(volume))
    return _filtered(string, region) * volume[: len(string)]


def _at_speed(region: Region, speed: float, length: int) -> Float32[np.ndarray, " L"]:
    """The recording with its loop repeated, at another speed: cubic interpolation between its frames."""
    frames = _repeated(region, int(length * speed) + 4)
    length = min(length, int((len(frames) - 3) / speed))
    position = np.arange(max(length, 0)) * speed
    index = position.astype(np.int64)
    x = (position - index).astype(np.float32)
    before, here, after, later = (frames[index + offset] for offset in range(4))
    # Catmull-Rom: through the frames, with the slopes between their neighbours
    slope = (after - before) * np.float32(0.5)
    next_slope = (later - here) * np.float32(0.5)
    rise = after - here
    return here + x * (slope + x * ((3 * rise - 2 * slope - next_slope) + x * (slope + next_slope - 2 * rise)))


def _repeated(region: Region, length: int) -> Float32[np.ndarray, " F"]:
    """The recording after one frame of silence, its loop repeated until it has `length` frames."""
    frames = region.frames
    if region.loop is not None:
        start, end = region.loop
        again = max(0, -(-(length - end) // (end - start)))
        frames = np.concatenate([frames[:end], np.tile(frames[start:end], again)])
    return np.pad(frames[:length], (1, 2))


def _filtered(string: Float32[np.ndarray, " L"], region: Region) -> Float32[np.ndarray, " L"]:
    """Through the low-pass filter of the region, whose cutoff follows its envelope.

    Blocks that overlap by half are multiplied by the filter's amplitude response at their centre, in the frequency
    domain; their windows add up to 1.
    """
    half = _FILTER_FRAMES // 2
    centre_s = np.arange(-(-len(string) // half) + 1) * half / RATE
    cents = region.filter_cents + region.filter_envelope_cents * _filter_envelope(region.filter_envelope, centre_s)
    cutoff = 8.176 * 2 ** (cents / 1200)  # Hz
    if len(string) == 0 or cutoff.min() >= _NO_FILTER_HZ:
        return string
    padded = np.pad(string, (half, half + (-len(string)) % half))
    blocks = np.lib.stride_tricks.sliding_window_view(padded, _FILTER_FRAMES)[::half]
    window = np.hanning(_FILTER_FRAMES + 1)[:-1].astype(np.float32)
    frequency = np.fft.rfftfreq(_FILTER_FRAMES, 1 / RATE)
    ratio = (frequency / cutoff[:, None]).astype(np.float32)
    response = 1 / np.sqrt(1 + (ratio * ratio) ** 2)  # Butterworth, two poles
    blocks = np.fft.irfft(np.fft.rfft(blocks * window) * response)
    return (blocks[:-1, half:] + blocks[1:, :half]).ravel()[: len(string)]


def _filter_envelope(envelope: Envelope, at_s: Float[np.ndarray, " B"]) -> Float[np.ndarray, " B"]:
    """From 0 to 1 and back to its sustain, linearly."""
    begin = envelope.delay
    peak = begin + envelope.attack
    decaying = peak + envelope.hold
    low = 1 - min(envelope.sustain, 100.0) / 100
    return np.interp(at_s, [begin, peak, decaying, decaying + envelope.decay * (1 - low)], [0.0, 1.0, 1.0, low])


def _volume(envelope: Envelope, length: int) -> Float32[np.ndarray, " L"]:
    """Amplitude: it rises linearly, holds, and decays in dB, linearly, to its sustain."""
    at_s = np.arange(length, dtype=np.float32) / np.float32(RATE)
    decay_db = (at_s - (envelope.delay + envelope.attack + envelope.hold)) * (_ENVELOPE_DB / envelope.decay)
    volume = np.exp(np.clip(decay_db, 0, envelope.sustain) * -_NEPER_PER_DB)
    rising = _frames(envelope.delay + envelope.attack) + 1
    volume[:rising] *= np.clip((at_s[:rising] - envelope.delay) / envelope.attack, 0, 1)
    return volume


def _audible_frames(envelope: Envelope) -> int:
    """How long a string that is never damped can be heard; a sustained one, as long as a sound may be."""
    if envelope.sustain < _SILENT_DB:
        return _frames(60.0 * MAX_MINUTES)
    return _frames(envelope.delay + envelope.attack + envelope.hold + envelope.decay * _SILENT_DB / _ENVELOPE_DB)


def _release_ramp(release_s: float) -> Float32[np.ndarray, " R"]:
    """The amplitude after a note's end."""
    at_s = np.arange(_frames(release_s * _SILENT_DB / _ENVELOPE_DB)) / RATE
    return np.exp(at_s * (-_ENVELOPE_DB * _NEPER_PER_DB / release_s)).astype(np.float32)


def _shares(pan: float) -> tuple[float, float]:
    """Amplitudes left and right, of constant power."""
    angle = (pan + 1) * np.pi / 4
    shares = float(np.cos(angle)), float(np.sin(angle))
    return shares[0] if pan < 1 else 0.0, shares[1] if pan > -1 else 0.0


def _frames(seconds: float) -> int:
    return round(seconds * RATE)
