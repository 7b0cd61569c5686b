"""Names the rank that hangs, and ends the job: the timeout of a collective does not say which rank is missing.

A thread of every rank reports periodically to the store how many collectives its main thread has reached, and in which
line it is. A rank that has waited too long reads all reports. A rank without new reports is stopped, or its node is
down; one that has reached fewer collectives hangs before the next one.
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

from pianogen.distributed.rendezvous import (
    RESPONSE_S,
    Rendezvous,
    TCPStore,
    call_store,
    format_ranks,
    process_name,
    report_key,
)
from pianogen.progress import console

_REPORTS_PER_TIMEOUT = 8
_MAX_INTERVAL_S = 5.0
_CHECK_INTERVALS = 3  # between the two sets of reports that are compared
_PACKAGE = str(Path(__file__).parents[1])


@dataclass(frozen=True)
class Report:
    """The state of a rank."""

    tick: int
    """Grows with every report."""
    collectives: int
    """Collectives that its main thread has reached."""
    line: str
    """Innermost line of pianogen that its main thread is in."""
    process: str


class CollectiveCounter:
    """Counts the collectives that the main thread has reached."""

    def __init__(self) -> None:
        self.count, self.last_time = 0, time.monotonic()

    def record(self) -> None:
        """Count a collective; every rank calls it before each one, in the same order."""
        self.count, self.last_time = self.count + 1, time.monotonic()


collectives = CollectiveCounter()


def record_collective() -> None:
    """Count a collective of this process; must be called before each one."""
    collectives.record()


class HeartbeatMonitor(threading.Thread):
    """Reports the progress of this rank, and checks the other ranks while it waits for them."""

    def __init__(self, rendezvous: Rendezvous, timeout_s: float) -> None:
        super().__init__(name="pianogen-heartbeat", daemon=True)
        self._rendezvous = rendezvous
        self._interval_s = min(_MAX_INTERVAL_S, timeout_s / _REPORTS_PER_TIMEOUT)
        # rank 0 checks first, so that normally one rank prints the error
        delay_s = (
            self._interval_s * (1 + int(math.log2(rendezvous.rank)))
            if rendezvous.rank
            else -_CHECK_INTERVALS * self._interval_s
        )
        self._check_after_s = timeout_s + delay_s
        self._stopped = threading.Event()
        self._tick = 0
        self._first_reports: tuple[int, dict[int, Report]] | None = None
        self.before_exit: Callable[[], None] = lambda: None
        """Called before the process exits because a rank hangs."""

    def stop(self) -> None:
        """Stop the thread; one that is inside torch when Python exits would abort the process."""
        self._stopped.set()
        self.join(3 * RESPONSE_S)

    def run(self) -> None:
        """Report and check until stopped."""
        store: TCPStore | None = None
        while not self._stopped.wait(self._interval_s):
            waited = time.monotonic() - collectives.last_time
            try:
                store = store or call_store(lambda: self._rendezvous.store(RESPONSE_S), 2 * RESPONSE_S)
                failure = self._report_and_check(store, checking=waited > self._check_after_s)
            except dist.DistError:  # also after its host process has exited at the end of a job, when no rank waits
                failure = f"{self._rendezvous.host_process} at {self._rendezvous.host} does not respond"
            if waited <= self._check_after_s:
                self._first_reports = None
            elif failure and not self._stopped.is_set():
                self._exit(f"{failure}; rank {self._rendezvous.rank} has waited {waited:.0f} s")

    def report(self) -> str:
        """The next report of this rank."""
        self._tick += 1
        return json.dumps(asdict(Report(self._tick, collectives.count, main_thread_line(), process_name())))

    def _report_and_check(self, store: TCPStore, *, checking: bool) -> str | None:
        keys = [report_key(rank) for rank in range(self._rendezvous.world_size)]
        mine = self.report()
        call_store(lambda: store.set(keys[self._rendezvous.rank], mine), RESPONSE_S)
        if not checking:
            return None
        texts = call_store(lambda: store.multi_get(keys), RESPONSE_S)
        return self._check({rank: Report(**json.loads(text)) for rank, text in enumerate(texts)})

    def _check(self, now: dict[int, Report]) -> str | None:
        """Name the ranks that this one waits for, once two sets of reports are far enough apart to compare."""
        if self._first_reports is None:
            self._first_reports = self._tick, now
        since, before = self._first_reports
        if self._tick - since < _CHECK_INTERVALS:
            return None
        ranks, problem = failed_ranks(before, now)
        if not ranks or self._rendezvous.rank in ranks:
            return None
        first = now[ranks[0]]
        return f"{format_ranks(ranks)} ({first.process}) {problem}, last seen at {first.line}"

    def _exit(self, failure: str) -> None:
        console.print(
            f"[red]error:[/] {failure}. The job ends; run the same command again to resume from the last checkpoint. "
            "--rank_timeout_s changes the limit.",
            soft_wrap=True,
        )
        self.before_exit()
        os._exit(1)  # an exception cannot interrupt the collective in the main thread


def failed_ranks(before: dict[int, Report], now: dict[int, Report]) -> tuple[list[int], str]:
    """Compare two reports of each rank; return the ranks that others wait for and the reason."""
    silent = [rank for rank, report in now.items() if report.tick == before[rank].tick]
    if silent:
        return silent, "has stopped reporting"
    furthest = max(report.collectives for report in now.values())
    behind = [rank for rank, report in now.items() if report.collectives < furthest]
    return behind, f"has not reached collective {furthest}"


def main_thread_line() -> str:
    """The innermost line of pianogen that the main thread is in."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame and not frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None:
        return "a line outside pianogen"
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
