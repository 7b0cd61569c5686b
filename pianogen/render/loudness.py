"""The loudness of a programme in LUFS, and sound at a given loudness. Shapes: C channels, S frames, H hops.

The package pyloudnorm measures the same, but takes longer; a test compares the two.

Reference: ITU-R BS.1770-4 (2015).
"""

import numpy as np
from jaxtyping import Float, Float32

LOUDNESS_LUFS = -23.0  # EBU R 128
PEAK_DBFS = -1.0
_HOP_S = 0.1
_HOPS_PER_BLOCK = 4  # blocks of 400 ms, which overlap by three quarters
_SILENCE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OFFSET_LUFS = -0.691
_HOPS_AT_ONCE = 256  # of one Fourier transform; they stay in the processor's cache


def loudness(sound: Float32[np.ndarray, "C S"], rate: int) -> float:
    """The integrated loudness in LUFS; minus infinity if nothing is above -70, or the sound is shorter than 0.4 s."""
    hop = round(_HOP_S * rate)
    energy = np.sum([_hop_energies(channel, rate, hop) for channel in sound], axis=0)
    if len(energy) < _HOPS_PER_BLOCK:
        return -np.inf
    blocks = np.convolve(energy, np.ones(_HOPS_PER_BLOCK), mode="valid") / (_HOPS_PER_BLOCK * hop)
    heard = blocks[_lufs(blocks) > _SILENCE_LUFS]
    if len(heard) == 0:
        return -np.inf
    return float(_lufs(heard[_lufs(heard) > _lufs(heard.mean()) + _RELATIVE_GATE_LU].mean()))


def normalised(sound: Float32[np.ndarray, "C S"], rate: int) -> Float32[np.ndarray, "C S"]:
    """The sound at -23 LUFS, or less where its peak would be above -1 dBFS; silence stays silent."""
    peak = float(max(sound.max(initial=0), -sound.min(initial=0)))
    level = loudness(sound, rate)
    if peak == 0 or not np.isfinite(level):
        return sound
    gain_db = min(LOUDNESS_LUFS - level, PEAK_DBFS - 20 * np.log10(peak))
    return sound * np.float32(10 ** (gain_db / 20))


def _hop_energies(channel: Float32[np.ndarray, " S"], rate: int, hop: int) -> Float[np.ndarray, " H"]:
    """Sums of squares of the K-weighted sound over hops of 100 ms; what does not fill the last is left out.

    The weights are applied to the power spectrum of each hop, by Parseval's theorem. That differs from filtering the
    sound by less than 0.01 LU.
    """
    hops = channel[: len(channel) // hop * hop].reshape(-1, hop)
    weights = _k_weights(np.fft.rfftfreq(hop, 1 / rate), rate) * (2 / hop)
    energies = np.empty(len(hops))
    for first in range(0, len(hops), _HOPS_AT_ONCE):
        spectrum = np.fft.rfft(hops[first : first + _HOPS_AT_ONCE])
        energies[first : first + _HOPS_AT_ONCE] = (spectrum.real**2 + spectrum.imag**2) @ weights
    return energies


def _k_weights(frequency: Float[np.ndarray, " Q"], rate: int) -> Float32[np.ndarray, " Q"]:
    """Power response of the K-weighting: a shelf of 4 dB above 1.5 kHz, and a high-pass at 38 Hz.

    The standard gives digital filters for 48 kHz; these are the analogue filters behind them, for any rate.
    """
    s = 1j * np.tan(np.pi * np.minimum(frequency, 0.4999 * rate) / rate)  # of the bilinear transform
    shelf, high_pass = np.tan(np.pi * np.array([1681.974450955533, 38.13547087602444]) / rate)
    gain = 10 ** (3.999843853973347 / 20)
    s_shelf, s_high = s / shelf, s / high_pass
    response = (gain * s_shelf**2 + gain**0.499666774155 * s_shelf / 0.7071752369554196 + 1) / (
        s_shelf**2 + s_shelf / 0.7071752369554196 + 1
    )
    # the numerator 1 -2 1 of the standard's high-pass is not divided by its a0, which adds to the response
    edge = 1 + high_pass / 0.5003270373238773 + high_pass**2
    response *= edge * s_high**2 / (s_high**2 + s_high / 0.5003270373238773 + 1)
    return (np.abs(response) ** 2).astype(np.float32)


def _lufs(energy: Float[np.ndarray, "..."] | np.floating) -> Float[np.ndarray, "..."]:
    with np.errstate(divide="ignore"):
        return _OFFSET_LUFS + 10 * np.log10(energy)
