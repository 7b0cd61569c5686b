"""The measures of music again, note by note in plain Python, for one window."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import fmean, median

import numpy as np

from pianogen.metrics.music import Piece

NAN = math.nan
EDGES = [0.125 * 2 ** (k / 2 - 0.25) for k in range(15)]


@dataclass
class Window:
    """Notes as (onset, end, pitch), from high to low on each onset, cut at the window's start and end."""

    begin: int
    end: int
    all_notes: list[tuple[int, int, int]]
    spq: int

    @property
    def notes(self) -> list[tuple[int, int, int]]:
        return [note for note in self.all_notes if self.begin <= note[0] < self.end]

    @property
    def onsets(self) -> list[int]:
        return sorted({onset for onset, _, _ in self.notes})

    @property
    def pitches(self) -> list[int]:
        return [pitch for _, _, pitch in self.notes]

    @property
    def seconds(self) -> float:
        return (self.end - self.begin) / (2 * self.spq)

    @property
    def intervals(self) -> list[float]:
        return [(after - before) / (2 * self.spq) for before, after in pairwise(self.onsets)]

    def at(self, step: int) -> set[int]:
        return {pitch for onset, end, pitch in self.all_notes if onset <= step < end}

    def sound(self) -> list[set[int]]:
        return [self.at(step) for step in range(self.begin, self.end)]

    def blocks(self, size: int) -> list[list[set[int]]]:
        sound = self.sound()
        return [sound[start : start + size] for start in range(0, len(sound) - size + 1, size)]

    def beats(self) -> list[list[set[int]]]:
        return self.blocks(self.spq)


def windows(piece: Piece, steps: int, num: int) -> list[Window]:
    columns = (piece.notes.onset, piece.notes.duration, piece.notes.pitch)
    rows = [(o, o + d, p) for o, d, p in zip(*(column.tolist() for column in columns), strict=True)]
    return [Window(i * steps, (i + 1) * steps, rows, piece.steps_per_quarter) for i in range(num)]


def bits(values: Sequence[object]) -> float:
    counts = Counter(values)
    total = sum(counts.values())
    return sum(-n / total * math.log2(n / total) for n in counts.values()) if total else NAN


def bin_of(seconds: float) -> int:
    return sum(seconds >= edge for edge in EDGES)


def shares(values: Sequence[int], size: int) -> list[float]:
    return [values.count(k) / len(values) if values else NAN for k in range(size)]


def mean(values: Sequence[float]) -> float:
    return fmean(values) if values else NAN


def lengths(w: Window) -> list[float]:
    return [(end - onset) / (2 * w.spq) for onset, end, _ in w.notes]


def top(w: Window) -> list[tuple[int, int]]:
    highest = [max(p for o, _, p in w.notes if o == onset) % 12 for onset in w.onsets]
    return list(pairwise(highest))


def transition_entropy(w: Window) -> float:
    pairs = top(w)
    return bits(pairs) - bits([first for first, _ in pairs]) if pairs else NAN


def longest_repetition(w: Window) -> float:
    runs = [len(list(group)) for _, group in groupby(w.pitches)]
    return (max(runs) - 1) / (len(w.pitches) - 1) if len(w.pitches) > 1 else NAN


def groove(w: Window) -> float:
    size = 4 * w.spq
    bars = [
        {(onset - start) * 16 // size for onset in w.onsets if start <= onset < start + size}
        for start in range(w.begin, w.end - size + 1, size)
    ]
    return mean([kappa(a, b) for a, b in pairwise(bars) if a or b])


def kappa(a: set[int], b: set[int]) -> float:
    if len(a) == len(b) == 16:
        return 1.0
    observed = sum((k in a) == (k in b) for k in range(16)) / 16
    chance = len(a) / 16 * len(b) / 16 + (1 - len(a) / 16) * (1 - len(b) / 16)
    return (observed - chance) / (1 - chance)


def pauses(w: Window) -> float:
    if len(w.onsets) < 2:
        return NAN
    whole = sorted({onset for onset, _, _ in w.all_notes})
    least = max(1.0, 4 * median((b - a) / (2 * w.spq) for a, b in pairwise(whole)))
    return sum(interval >= least for interval in w.intervals) / w.seconds * 60


def chroma(block: list[set[int]]) -> list[int]:
    return [sum(pitch % 12 == k for pitches in block for pitch in pitches) for k in range(12)]


MAJOR = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]
MINOR = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]


def key_fits(block: list[set[int]]) -> list[float]:
    found = chroma(block)
    if len(set(found)) == 1:
        return []
    rolled = [profile[-tonic:] + profile[:-tonic] for profile in (MAJOR, MINOR) for tonic in range(12)]
    return [float(np.corrcoef(found, profile)[0, 1]) for profile in rolled]


def triad_fits(block: list[set[int]]) -> list[float]:
    found = chroma(block)
    if sum(n > 0 for n in found) < 2:
        return []
    norm = math.sqrt(3 * sum(n * n for n in found))
    return [sum(found[(t + k) % 12] for k in triad) / norm for triad in ((0, 4, 7), (0, 3, 7)) for t in range(12)]


def changes(fits: list[list[float]]) -> float:
    """Ties are resolved in favour of the first, up to rounding."""
    best = [next(i for i, fit in enumerate(one) if fit >= max(one) - 1e-9) if one else None for one in fits]
    return mean([float(a != b) for a, b in pairwise(best) if a is not None and b is not None])


def polyphony(w: Window) -> float:
    return mean([len(pitches) for pitches in w.sound() if pitches])


ORACLE: dict[str, Callable[[Window], float | list[float]]] = {
    "pitch_count": lambda w: len(set(w.pitches)),
    "pitch_range": lambda w: max(w.pitches) - min(w.pitches) if w.pitches else NAN,
    "pitch_mean": lambda w: mean(w.pitches),
    "pitch_entropy": lambda w: bits(w.pitches),
    "pitch_class_entropy": lambda w: bits([p % 12 for p in w.pitches]),
    "pitch_class_histogram": lambda w: shares([p % 12 for p in w.pitches], 12),
    "pitch_class_transitions": lambda w: shares([12 * a + b for a, b in top(w)], 144),
    "transition_entropy": transition_entropy,
    "longest_repetition": longest_repetition,
    "note_density": lambda w: len(w.notes) / w.seconds if w.seconds else NAN,
    "interval_mean": lambda w: mean(w.intervals),
    "interval_histogram": lambda w: shares([bin_of(s) for s in w.intervals], 16),
    "interval_entropy": lambda w: bits([bin_of(s) for s in w.intervals]),
    "length_mean": lambda w: mean(lengths(w)),
    "length_histogram": lambda w: shares([bin_of(s) for s in lengths(w)], 16),
    "length_entropy": lambda w: bits([bin_of(s) for s in lengths(w)]),
    "groove_consistency": groove,
    "empty_beats": lambda w: mean([float(not any(beat)) for beat in w.beats()]),
    "silence": lambda w: mean([float(not pitches) for pitches in w.sound()]),
    "pauses": pauses,
    "polyphony": polyphony,
    "polyphonic_time": lambda w: mean([float(len(pitches) > 1) for pitches in w.sound() if pitches]),
    "key_clarity": lambda w: max(key_fits(w.sound()), default=NAN),
    "key_changes": lambda w: 6 * changes([key_fits(block) for block in w.blocks(20 * w.spq)]),
    "chord_changes": lambda w: changes([triad_fits(beat) for beat in w.beats()]),
    "chord_clarity": lambda w: mean([max(fits) for beat in w.beats() if (fits := triad_fits(beat))]),
}
