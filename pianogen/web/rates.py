"""How many requests a client may make: token buckets, of which only the latest are kept."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MAX_CLIENTS = 10_000  # the one that was quiet longest is forgotten, which gives it a full bucket again


@dataclass(frozen=True)
class Rate:
    """A number of requests at once, and so many per second on average."""

    burst: float
    per_second: float


class Buckets:
    """One bucket per client. Forgetting a client can only help it, and memory is bounded."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # client -> requests left, when

    def take(self, client: str) -> float:
        """Count one request; returns 0, or the seconds until the next one is permitted."""
        now = self._clock()
        left, then = self._levels.pop(client, (self._rate.burst, now))
        left = min(self._rate.burst, left + (now - then) * self._rate.per_second)
        permitted = left >= 1
        self._levels[client] = (left - permitted, now)
        if len(self._levels) > _MAX_CLIENTS:
            self._levels.popitem(last=False)
        return 0.0 if permitted else (1 - left) / self._rate.per_second
