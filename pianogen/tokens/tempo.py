"""Tempo marks: ticks to seconds and back. Shapes: M marks, N ticks."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

DEFAULT_QUARTERS_PER_MINUTE = 120.0  # of a MIDI file without tempo marks


@dataclass(frozen=True)
class TempoMap:
    """Tempo marks in ascending order of ticks; the first one is at tick 0."""

    tick: Int[np.ndarray, " M"] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    quarters_per_minute: Float[np.ndarray, " M"] = field(
        default_factory=lambda: np.full(1, DEFAULT_QUARTERS_PER_MINUTE)
    )

    def seconds_at(self, tick: int, ticks_per_quarter: int) -> float:
        """Time of a tick, in seconds."""
        return float(self.seconds_of(np.array([tick]), ticks_per_quarter)[0])

    def seconds_of(
        self, ticks: Int[np.ndarray, " N"] | Float[np.ndarray, " N"], ticks_per_quarter: int
    ) -> Float[np.ndarray, " N"]:
        """Times of ticks, in seconds."""
        seconds, tick_seconds = self._marks(ticks_per_quarter)
        mark = np.searchsorted(self.tick, ticks, side="right") - 1
        return seconds[mark] + (ticks - self.tick[mark]) * tick_seconds[mark]

    def tick_at(self, seconds: float, ticks_per_quarter: int) -> int:
        """The tick nearest to a time in seconds."""
        starts, tick_seconds = self._marks(ticks_per_quarter)
        mark = max(int(np.searchsorted(starts, seconds, side="right")) - 1, 0)
        return int(self.tick[mark]) + round((seconds - float(starts[mark])) / float(tick_seconds[mark]))

    def _marks(self, ticks_per_quarter: int) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
        """Each mark's time, and the length of a tick after it, in seconds."""
        tick_seconds = 60.0 / (self.quarters_per_minute * ticks_per_quarter)
        seconds = np.zeros(len(self.tick))
        np.cumsum(np.diff(self.tick) * tick_seconds[:-1], out=seconds[1:])
        return seconds, tick_seconds
