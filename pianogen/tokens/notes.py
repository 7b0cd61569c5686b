"""Notes in ticks as read, notes on the grid as tokens encode them, and quantisation from one to the other.

All arithmetic uses int64 ticks and steps, so that rounding is exact. Shapes: N notes.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Int

from pianogen.config import TokenizerConfig
from pianogen.tokens.pedal import Pedals, no_pedals, num_held, sustained
from pianogen.tokens.tempo import TempoMap
from pianogen.tokens.vocab import HIGHEST_PITCH, LOWEST_PITCH, MAX_NOTE_STEPS, MAX_WAIT_STEPS

_Table = tuple[np.ndarray, np.ndarray, np.ndarray]  # onset, duration, pitch


@dataclass(frozen=True)
class RawNotes:
    """A performance as read, in ticks and in any order, before quantisation."""

    onset: Int[np.ndarray, " N"]
    duration: Int[np.ndarray, " N"]
    pitch: Int[np.ndarray, " N"]
    ticks_per_quarter: int
    pedals: Pedals = field(default_factory=no_pedals)
    """The sustain pedal, all channels merged."""
    seconds: float = 0.0
    """Time of the last note-off."""
    time_signature: tuple[int, int] | None = None
    tempo_map: TempoMap = field(default_factory=TempoMap)
    grace_notes: int = 0
    """Grace notes that the reader left out."""
    velocity: Int[np.ndarray, " N"] | None = None
    """1 to 127, where the source has them; tokens do not, only sound does."""

    def __len__(self) -> int:
        return len(self.onset)

    def ticks_at(self, seconds: float) -> int:
        """The tick nearest to a time in seconds, by the tempo map."""
        return self.tempo_map.tick_at(seconds, self.ticks_per_quarter)

    def at_tempo(self, factor: float) -> "RawNotes":
        """The same performance played `factor` times as fast, without rounding any tick."""
        ratio = Fraction(factor).limit_denominator(1000)
        scale = ratio.denominator
        return replace(
            self,
            onset=self.onset * scale,
            duration=self.duration * scale,
            ticks_per_quarter=self.ticks_per_quarter * ratio.numerator,
            pedals=(self.pedals[0] * scale, self.pedals[1] * scale),
            seconds=self.seconds / float(ratio),
            tempo_map=TempoMap(self.tempo_map.tick * scale, self.tempo_map.quarters_per_minute),
        )


@dataclass(frozen=True)
class Notes:
    """The note table that tokens encode, in grid steps: onset ascending, then pitch descending, without duplicates."""

    onset: Int[np.ndarray, " N"]
    duration: Int[np.ndarray, " N"]
    pitch: Int[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.onset)

    def select(self, kept: Bool[np.ndarray, " N"] | slice) -> "Notes":
        """Some of the notes, in their order."""
        return Notes(self.onset[kept], self.duration[kept], self.pitch[kept])


@dataclass(frozen=True)
class QuantisationReport:
    """Counts of the notes that quantisation changed; reports of several performances can be added."""

    read: int = 0
    kept: int = 0
    shortened_to_minimum: int = 0
    """Rounded to 0 steps and lengthened to 1."""
    dropped_short: int = 0
    """Rounded to 0 steps and left out, with the setting short_notes: drop."""
    capped_durations: int = 0
    capped_waits: int = 0
    merged: int = 0
    """Merged into a longer note of the same pitch and onset."""
    out_of_range: int = 0
    grace_notes: int = 0
    """Not counted among the notes read."""
    pedal_ignored: int = 0
    """Released while the pedal was down, with the setting pedal: ignore."""

    def __add__(self, other: "QuantisationReport") -> "QuantisationReport":
        return QuantisationReport(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))

    def percent(self) -> dict[str, float]:
        """Every count in percent of the notes read; all 0 if no notes were read."""
        return {name: 100.0 * count / max(self.read, 1) for name, count in asdict(self).items()}


def canonical(onset: Int[np.ndarray, " N"], duration: Int[np.ndarray, " N"], pitch: Int[np.ndarray, " N"]) -> Notes:
    """Sort notes in grid steps; of notes with equal onset and pitch, keep the longest.

    One sort of packed integers: onset, then 127 - pitch (7 bits), then MAX_NOTE_STEPS - duration (8 bits). So onsets
    must be below 2**48 steps, and durations 1..MAX_NOTE_STEPS.
    """
    key = (onset << 15) + (((127 - pitch) << 8) + (MAX_NOTE_STEPS - duration))
    key.sort(kind="stable")  # timsort, fast since performances are nearly sorted
    onset_and_pitch = key >> 8
    first = np.ones(len(key), dtype=bool)
    np.not_equal(onset_and_pitch[1:], onset_and_pitch[:-1], out=first[1:])
    key = key[first]
    return Notes(onset=key >> 15, duration=MAX_NOTE_STEPS - (key & 255), pitch=127 - ((key >> 8) & 127))


def quantise(raw: RawNotes, config: TokenizerConfig) -> tuple[Notes, QuantisationReport]:
    """Round a performance to the grid; onsets and durations are rounded independently, half to even."""
    extend, drop = config.pedal == "extend", config.short_notes == "drop"
    duration = sustained(raw.onset, raw.duration, raw.pitch, raw.pedals) if extend else raw.duration
    table = (
        _to_grid(raw.onset, config.steps_per_quarter, raw.ticks_per_quarter),
        _to_grid(duration, config.steps_per_quarter, raw.ticks_per_quarter),
        raw.pitch,
    )
    table, out_of_range = _without(table, (raw.pitch < LOWEST_PITCH) | (raw.pitch > HIGHEST_PITCH))
    short = table[1] < 1
    num_short = int(np.count_nonzero(short))
    if drop:
        table, _ = _without(table, short)
    onset, steps, pitch = table
    notes = canonical(onset, np.clip(steps, 1, MAX_NOTE_STEPS), pitch)
    return notes, QuantisationReport(
        read=len(raw),
        kept=len(notes),
        shortened_to_minimum=0 if drop else num_short,
        dropped_short=num_short if drop else 0,
        capped_durations=int(np.count_nonzero(steps > MAX_NOTE_STEPS)),
        capped_waits=int(np.count_nonzero(waits(notes) > MAX_WAIT_STEPS)),
        merged=len(onset) - len(notes),
        out_of_range=out_of_range,
        grace_notes=raw.grace_notes,
        pedal_ignored=0 if extend else num_held(raw.onset + raw.duration, raw.pedals),
    )


def waits(notes: Notes) -> Int[np.ndarray, " N"]:
    """Steps from the previous onset (or the beginning) to each note's onset; 0 within a group."""
    steps = notes.onset.copy()
    steps[1:] -= notes.onset[:-1]
    return steps


def _to_grid(ticks: Int[np.ndarray, " N"], steps_per_quarter: int, ticks_per_quarter: int) -> Int[np.ndarray, " N"]:
    """round_half_even(ticks * steps_per_quarter / ticks_per_quarter), in integers."""
    doubled = ticks * (2 * steps_per_quarter) + ticks_per_quarter
    steps = doubled // (2 * ticks_per_quarter)  # rounds half up
    tie = steps * (2 * ticks_per_quarter) == doubled
    return steps - (tie & (steps & 1))


def _without(table: _Table, left_out: Bool[np.ndarray, " N"]) -> tuple[_Table, int]:
    num_left_out = int(np.count_nonzero(left_out))
    if num_left_out == 0:
        return table, 0
    onset, steps, pitch = table
    return (onset[~left_out], steps[~left_out], pitch[~left_out]), num_left_out
