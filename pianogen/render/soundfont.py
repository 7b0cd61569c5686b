"""Piano sounds from a SoundFont: which part of which recording sounds for a key and a velocity, and how it decays.

Read are SF2 files, and SF3 files, whose recordings are Vorbis streams. Modulators, vibrato and tremolo, which pianos do
without, are ignored. Shapes: F frames of a recording.

Reference: SoundFont Technical Specification 2.04 (2006).
"""

import io
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from pianogen.errors import SettingError

_RECORDS = {
    "phdr": [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("zone", "<u2"), ("unused", "V12")],
    "pbag": [("generator", "<u2"), ("modulator", "<u2")],
    "pgen": [("kind", "<u2"), ("amount", "<i2")],
    "inst": [("name", "S20"), ("zone", "<u2")],
    "ibag": [("generator", "<u2"), ("modulator", "<u2")],
    "igen": [("kind", "<u2"), ("amount", "<i2")],
    "shdr": [
        ("name", "S20"),
        *((name, "<u4") for name in ("start", "end", "loop_start", "loop_end", "rate")),
        *(("root", "u1"), ("correction", "i1"), ("link", "<u2"), ("kind", "<u2")),
    ],
}  # of the list pdta
_PERCUSSION_BANK = 128
_VORBIS, _READ_ONLY_MEMORY = 0x10, 0x8000  # flags of a recording's kind

# kinds of generators
_START, _END, _LOOP_START, _LOOP_END = (0, 4), (1, 12), (2, 45), (3, 50)  # fine; coarse, of 32768 frames
_FILTER, _ENVELOPE_TO_FILTER, _PAN, _ATTENUATION = 8, 11, 17, 48
_FILTER_ENVELOPE, _VOLUME_ENVELOPE = 25, 33  # the first of six: delay, attack, hold, decay, sustain, release
_INSTRUMENT, _KEYS, _VELOCITIES, _RECORDING = 41, 43, 44, 53
_COARSE, _FINE, _LOOPS, _SCALE, _ROOT = 51, 52, 54, 56, 58
_ONLY_OF_INSTRUMENTS = {*_START, *_END, *_LOOP_START, *_LOOP_END, _LOOPS, _ROOT, 46, 47, 57}
_EVERY = 127 << 8  # the range 0 to 127
_SHORTEST = -12000  # timecents: 1 ms
_DEFAULTS = {
    **{_KEYS: _EVERY, _VELOCITIES: _EVERY, _FILTER: 13500, _SCALE: 100, _ROOT: -1},
    **{first + offset: _SHORTEST for first in (_FILTER_ENVELOPE, _VOLUME_ENVELOPE) for offset in (0, 1, 2, 3, 5)},
}
_ATTENUATION_DB = 0.04  # per unit: 0.4 of the 0.1 dB of the specification, as Creative's own hardware plays it

_Generators = dict[int, int]


@dataclass(frozen=True)
class Envelope:
    """Times in seconds: delay, attack, hold, decay and release; decay and release are those of the whole range."""

    delay: float
    attack: float
    hold: float
    decay: float
    sustain: float
    """How far it decays: of a volume in dB below the peak, of a filter in percent."""
    release: float


@dataclass(frozen=True)
class Region:
    """A recording, and the keys and velocities that it sounds for."""

    frames: Float32[np.ndarray, " F"]
    rate: int
    """Frames per second of the recording."""
    loop: tuple[int, int] | None
    """First frame of the part that is repeated, and the one after its last."""
    keys: tuple[int, int]
    velocities: tuple[int, int]
    root: float
    """The key that it was recorded at; not a whole number where the recording was out of tune."""
    keys_per_semitone: float
    gain: float
    pan: float
    """From -1, left, to 1, right."""
    volume: Envelope
    filter_cents: float
    """Cutoff of the low-pass filter, in cents above 8.176 Hz; 13500 is no filter."""
    filter_envelope_cents: float
    filter_envelope: Envelope

    def speed(self, key: int) -> float:
        """How fast the recording has to run for a key."""
        return 2 ** ((key - self.root) * self.keys_per_semitone / 12)


def default_soundfont() -> Path:
    """TimGM6mb, a small General MIDI SoundFont that the package pretty_midi carries.

    Raises:
        SettingError: The package, or the SoundFont in it, is missing.
    """
    package = find_spec("pretty_midi")  # not imported, which would take a second
    path = Path(package.origin).parent / "TimGM6mb.sf2" if package and package.origin else None
    if path is None or not path.is_file():
        raise SettingError(
            "the SoundFont TimGM6mb of the package pretty_midi is missing; install pretty_midi, or name a SoundFont:"
            " --soundfont FILE"
        )
    return path


def read_piano(path: Path) -> list[Region]:
    """Read the piano, program 0 of bank 0, or the first instrument of a file without it.

    Raises:
        SettingError: The file is missing, or is not a SoundFont.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            regions = list(_Reader(data).regions())
    except OSError as error:
        raise SettingError(f"setting 'soundfont' is {str(path)!r}: {error.strerror or error}") from error
    except (ValueError, IndexError, KeyError, ZeroDivisionError, OverflowError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise SettingError(
            f"setting 'soundfont' is {str(path)!r}, but it is not a SoundFont that can be read ({reason});"
            " name an .sf2 or .sf3 file"
        ) from error
    if not regions:
        raise SettingError(f"setting 'soundfont' is {str(path)!r}, but its first instrument has no sound; name another")
    return regions


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
            raise ValueError("it does not begin with RIFF and sfbk")
        chunks = {
            name: (start, end)
            for kind, (first, last) in _chunks(data, 12, len(data))
            if kind == "LIST"
            for name, (start, end) in _chunks(data, first + 4, last)
        }
        self._data = data
        self._samples = chunks["smpl"]
        self._tables = {name: _table(data, chunks[name], record) for name, record in _RECORDS.items()}
        self._recordings: dict[tuple[int, int], Float32[np.ndarray, " F"]] = {}

    def regions(self) -> Iterator[Region]:
        """The regions of the piano."""
        presets = self._tables["phdr"]
        melodic = [index for index, one in enumerate(presets[:-1]) if one["bank"] != _PERCUSSION_BANK]
        piano = min(melodic, key=lambda index: (presets[index]["bank"], presets[index]["program"]))
        for outer in self._zones(piano, "phdr", "pbag", "pgen", _INSTRUMENT):
            for inner in self._zones(outer[_INSTRUMENT], "inst", "ibag", "igen", _RECORDING):
                region = self._region(inner, outer)
                if region is not None:
                    yield region

    def _zones(self, index: int, heads: str, bags: str, generators: str, target: int) -> Iterator[_Generators]:
        """The zones of a preset or an instrument; what its first zone says without a target holds in all of them."""
        first, last = (int(self._tables[heads][index + offset]["zone"]) for offset in (0, 1))
        common: _Generators = {}
        for begin, end in pairwise(self._tables[bags]["generator"][first : last + 1].tolist()):
            zone = common | dict(self._tables[generators][begin:end].tolist())
            if target in zone:
                yield zone
            elif not common:
                common = zone

    def _region(self, inner: _Generators, outer: _Generators) -> Region | None:
        """A zone of an instrument, to which the zone of its preset adds."""
        values = _DEFAULTS | inner
        for kind, amount in outer.items():
            if kind not in _ONLY_OF_INSTRUMENTS and kind not in (_INSTRUMENT, _KEYS, _VELOCITIES):
                values[kind] = values.get(kind, 0) + amount
        keys, velocities = (_overlap(values[kind], outer.get(kind, _EVERY)) for kind in (_KEYS, _VELOCITIES))
        head = self._tables["shdr"][inner[_RECORDING]]
        if keys[0] > keys[1] or velocities[0] > velocities[1] or head["kind"] & _READ_ONLY_MEMORY:
            return None
        frames, loop = self._recording(head, values)
        root = values[_ROOT] if 0 <= values[_ROOT] <= 127 else int(head["root"])
        scale = values[_SCALE] / 100
        tuned = values.get(_COARSE, 0) + (values.get(_FINE, 0) + int(head["correction"])) / 100  # semitones
        return Region(
            frames=frames,
            rate=int(head["rate"]),
            loop=loop,
            keys=keys,
            velocities=velocities,
            root=root - tuned / scale if scale else root,
            keys_per_semitone=scale,
            gain=10 ** (-_ATTENUATION_DB * max(values.get(_ATTENUATION, 0), 0) / 20),
            pan=min(max(values.get(_PAN, 0) / 500, -1.0), 1.0),
            volume=_envelope(values, _VOLUME_ENVELOPE),
            filter_cents=float(values[_FILTER]),
            filter_envelope_cents=float(values.get(_ENVELOPE_TO_FILTER, 0)),
            filter_envelope=_envelope(values, _FILTER_ENVELOPE),
        )

    def _recording(
        self, head: np.void, values: _Generators
    ) -> tuple[Float32[np.ndarray, " F"], tuple[int, int] | None]:
        if head["rate"] == 0:
            raise ValueError("a recording has 0 frames per second")
        start, end, loop_start, loop_end = (int(head[name]) for name in ("start", "end", "loop_start", "loop_end"))
        if head["kind"] & _VORBIS:
            frames, base = self._vorbis(start, end), 0
        else:
            frames, base = self._linear(start, end), start
        moved = [
            values.get(fine, 0) + 32768 * values.get(coarse, 0)
            for fine, coarse in (_START, _END, _LOOP_START, _LOOP_END)
        ]
        begin, stop = max(moved[0], 0), min(len(frames), len(frames) + moved[1])
        frames = frames[begin:stop]
        if len(frames) == 0:
            raise ValueError("a recording is empty")
        loop = loop_start - base + moved[2] - begin, min(loop_end - base + moved[3] - begin, len(frames))
        return frames, loop if values.get(_LOOPS, 0) in (1, 3) and 0 <= loop[0] < loop[1] else None

    def _linear(self, start: int, end: int) -> Float32[np.ndarray, " F"]:
        first, last = self._samples
        if (start, end) not in self._recordings:
            data = self._data[first + 2 * start : min(first + 2 * end, last)]
            self._recordings[start, end] = np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(32768)
        return self._recordings[start, end]

    def _vorbis(self, start: int, end: int) -> Float32[np.ndarray, " F"]:
        import soundfile

        first, _ = self._samples
        if (start, end) not in self._recordings:
            data = io.BytesIO(self._data[first + start : first + end])
            self._recordings[start, end] = soundfile.read(data, dtype="float32", always_2d=True)[0][:, 0]
        return self._recordings[start, end]


def _chunks(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name, first byte and end of each chunk."""
    while start + 8 <= end:
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        if start + 8 + size > len(data):
            raise ValueError("it is cut off")
        yield data[start : start + 4].decode("latin-1"), (start + 8, start + 8 + size)
        start += 8 + size + size % 2


def _table(data: mmap.mmap, chunk: tuple[int, int], record: list[tuple[str, str]]) -> np.ndarray:
    return np.frombuffer(data[chunk[0] : chunk[1]], dtype=record)


def _overlap(inner: int, outer: int) -> tuple[int, int]:
    """Lowest and highest value in both ranges, each a low and a high byte."""
    return max(inner & 255, outer & 255), min(inner >> 8 & 255, outer >> 8 & 255)


def _envelope(values: _Generators, first: int) -> Envelope:
    times = {kind: 2 ** (values[kind] / 1200) for kind in (first + offset for offset in (0, 1, 2, 3, 5))}
    return Envelope(
        delay=times[first],
        attack=times[first + 1],
        hold=times[first + 2],
        decay=times[first + 3],
        sustain=max(values.get(first + 4, 0), 0) / 10,
        release=times[first + 5],
    )
