"""Notes in ticks as they were read, notes on the grid as tokens encode them, and the way from one to the other.

All arithmetic is on int64 ticks and steps; no float can decide a tie. Legend: N notes.
"""

from dataclasses import asdict, dataclass, field, fields
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
    """A performance as it was read, in ticks and in any order, before the grid."""

    onset: Int[np.ndarray, " N"]
    duration: Int[np.ndarray, " N"]
    pitch: Int[np.ndarray, " N"]
    ticks_per_quarter: int
    pedals: Pedals = field(default_factory=no_pedals)
    """The sustain pedal, all channels as one."""
    seconds: float = 0.0
    """Real time of the last note-off."""
    time_signature: tuple[int, int] | None = None
    tempo_map: TempoMap = field(default_factory=TempoMap)
    grace_notes: int = 0
    """Grace notes that the reader left out."""

    def __len__(self) -> int:
        return len(self.onset)

    def ticks_at(self, seconds: float) -> int:
        """The tick sounding at a real time, following the tempo map."""
        return self.tempo_map.tick_at(seconds, self.ticks_per_quarter)

    def at_tempo(self, factor: float) -> "RawNotes":
        """The same performance played `factor` times as fast, exactly: no tick is rounded."""
        ratio = Fraction(factor).limit_denominator(1000)
        slow = ratio.denominator
        return RawNotes(
            onset=self.onset * slow,
            duration=self.duration * slow,
            pitch=self.pitch,
            ticks_per_quarter=self.ticks_per_quarter * ratio.numerator,
            pedals=(self.pedals[0] * slow, self.pedals[1] * slow),
            seconds=self.seconds / float(ratio),
            time_signature=self.time_signature,
            tempo_map=TempoMap(self.tempo_map.tick * slow, self.tempo_map.quarters_per_minute),
            grace_notes=self.grace_notes,
        )


@dataclass(frozen=True)
class Notes:
    """The table that tokens encode, in grid steps: onset ascending, then pitch descending, no pair of these twice."""

    onset: Int[np.ndarray, " N"]
    duration: Int[np.ndarray, " N"]
    pitch: Int[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.onset)


@dataclass(frozen=True)
class QuantisationReport:
    """What the grid did to the notes read; reports of several performances add up."""

    read: int = 0
    kept: int = 0
    shortened_to_minimum: int = 0
    """Rounded to no step and raised to one: the shortest length there is."""
    dropped_short: int = 0
    """Rounded to no step and left out, by the setting short_notes: drop."""
    capped_durations: int = 0
    capped_waits: int = 0
    merged: int = 0
    """Lost to a longer note of the same pitch that starts on the same step."""
    out_of_range: int = 0
    grace_notes: int = 0
    """Not among the notes read."""
    pedal_ignored: int = 0
    """Released while the pedal was down, by the setting pedal: ignore."""

    def __add__(self, other: "QuantisationReport") -> "QuantisationReport":
        return QuantisationReport(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def percent(self) -> dict[str, float]:
        """Every count in percent of the notes read; all 0 when none was."""
        return {name: 100.0 * count / max(self.read, 1) for name, count in asdict(self).items()}


def canonical(onset: Int[np.ndarray, " N"], duration: Int[np.ndarray, " N"], pitch: Int[np.ndarray, " N"]) -> Notes:
    """Sort notes in grid steps; of those with one onset and pitch the longest survives.

    One sort of packed integers: onset, then 127 - pitch (7 bits), then MAX_NOTE_STEPS - duration (8 bits). So onsets
    may reach 2**48 steps, and durations must be 1..MAX_NOTE_STEPS.
    """
    key = (onset << 15) + (((127 - pitch) << 8) + (MAX_NOTE_STEPS - duration))
    key.sort(kind="stable")  # timsort: performances come nearly sorted
    place = key >> 8
    first = np.ones(len(key), dtype=bool)
    np.not_equal(place[1:], place[:-1], out=first[1:])
    key = key[first]
    return Notes(onset=key >> 15, duration=MAX_NOTE_STEPS - (key & 255), pitch=127 - ((key >> 8) & 127))


def quantise(raw: RawNotes, config: TokenizerConfig) -> tuple[Notes, QuantisationReport]:
    """Put a performance on the grid; onset and duration are rounded each on its own, half to even."""
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
    """Steps from the onset before (or the beginning) to each note's onset; 0 inside a group."""
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
