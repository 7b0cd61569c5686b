"""Names the rank that hangs, and ends the job: a collective only tells that somebody did not come.

Every rank has a thread that tells the store, now and then, how many meetings with the others its main thread has come
to, and where that thread is. A rank that has waited too long reads what the others told. One that tells nothing any
more is stopped, or its node is gone; one that has come to fewer meetings is stuck on its way.
"""

import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch.distributed as dist

from pianogen.distributed.rendezvous import ANSWER_S, Meeting, TCPStore, ask, key_of, name_of_process, ranks_in_words
from pianogen.progress import console

_PAUSES = 8  # in the time that a rank is waited for
_LONGEST_PAUSE_S = 5.0
_LOOKING = 3  # pauses between the two reports that tell who is silent
_PACKAGE = str(Path(__file__).parents[1])


@dataclass(frozen=True)
class Report:
    """What a rank told of itself."""

    tick: int
    """Grows with every report."""
    met: int
    """Meetings that its main thread has come to."""
    where: str
    name: str


class Arrivals:
    """How many meetings of the ranks the main thread has come to, and since when it is on the way from the last."""

    def __init__(self) -> None:
        self.met, self.since = 0, time.monotonic()

    def arrive(self) -> None:
        """Come to a meeting: every rank does, in the same order, before each exchange with the others."""
        self.met, self.since = self.met + 1, time.monotonic()


arrivals = Arrivals()


class Watch(threading.Thread):
    """Watches the main thread of this rank, and the other ranks while it waits for them."""

    def __init__(self, meeting: Meeting, timeout_s: float) -> None:
        super().__init__(name="pianogen-watch", daemon=True)
        self._meeting = meeting
        self._pause_s = min(_LONGEST_PAUSE_S, timeout_s / _PAUSES)
        # one rank speaks for all; others only begin to look where that one does not
        late = self._pause_s * (1 + int(math.log2(meeting.rank))) if meeting.rank else -_LOOKING * self._pause_s
        self._begins_s = timeout_s + late
        self._over = threading.Event()
        self._tick = 0
        self._first_look: tuple[int, dict[int, Report]] | None = None
        self.before_end: Callable[[], None] = lambda: None
        """Called before the process ends because a rank hangs."""

    def stop(self) -> None:
        """Watch no longer; a thread that Python ends inside torch would abort the process."""
        self._over.set()
        self.join(3 * ANSWER_S)

    def run(self) -> None:
        """Report and look, until stopped."""
        store: TCPStore | None = None
        while not self._over.wait(self._pause_s):
            waited = time.monotonic() - arrivals.since
            try:
                store = store or ask(lambda: self._meeting.store(ANSWER_S), 2 * ANSWER_S)
                blame = self._report_and_look(store, looking=waited > self._begins_s)
            except dist.DistError:  # also when its holder has left at the end of a job, but then nobody waits
                blame = f"{self._meeting.holder} at {self._meeting.host} does not answer any more"
            if waited <= self._begins_s:
                self._first_look = None
            elif blame and not self._over.is_set():
                self._end(f"{blame}; rank {self._meeting.rank} has waited {waited:.0f} s")

    def report(self) -> str:
        """What this rank tells the others."""
        self._tick += 1
        return json.dumps(asdict(Report(self._tick, arrivals.met, where_main_thread_is(), name_of_process())))

    def _report_and_look(self, store: TCPStore, *, looking: bool) -> str | None:
        keys = [key_of(rank) for rank in range(self._meeting.world_size)]
        mine = self.report()
        ask(lambda: store.set(keys[self._meeting.rank], mine), ANSWER_S)
        if not looking:
            return None
        texts = ask(lambda: store.multi_get(keys), ANSWER_S)
        return self._look({rank: Report(**json.loads(text)) for rank, text in enumerate(texts)})

    def _look(self, now: dict[int, Report]) -> str | None:
        """Say whom this rank waits for, once it has looked for long enough to know."""
        if self._first_look is None:
            self._first_look = self._tick, now
        since, before = self._first_look
        if self._tick - since < _LOOKING:
            return None
        culprits, what = suspects(before, now)
        if not culprits or self._meeting.rank in culprits:
            return None
        first = now[culprits[0]]
        return f"{ranks_in_words(culprits)} ({first.name}) {what}, last seen at {first.where}"

    def _end(self, what: str) -> None:
        console.print(
            f"[red]error:[/] {what}. The job ends; the same command goes on from the last checkpoint. "
            "--rank_timeout_s changes the limit.",
            soft_wrap=True,
        )
        self.before_end()
        os._exit(1)  # the main thread waits in a collective, which no exception reaches


def suspects(before: dict[int, Report], now: dict[int, Report]) -> tuple[list[int], str]:
    """Say which ranks are to blame, and for what, by two reports of each, the second one some time after the first."""
    silent = [rank for rank, report in now.items() if report.tick == before[rank].tick]
    if silent:
        return silent, "tells nothing any more"
    furthest = max(report.met for report in now.values())
    behind = [rank for rank, report in now.items() if report.met < furthest]
    return behind, f"has not come to meeting {furthest} of the ranks"


def where_main_thread_is() -> str:
    """The innermost line of pianogen that the main thread is in."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame and not frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None:
        return "no line of pianogen"
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
