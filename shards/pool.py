"""Worker processes that read source files; one that hangs, crashes or exhausts its memory loses only one file."""

import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from pianogen.errors import ShardError
from shards.files import no_room
from shards.reading import Reading, ReadingConfig
from shards.sources import SourceFile

MAX_SECONDS = 120  # for one file; the largest score allowed takes about half of it on a slow machine
WORKER = (sys.executable, "-P", "-m", "shards.worker")
QUEUE_LENGTH = 4  # tasks handed to a worker in advance, so that it never idles


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    inlet: IO[bytes]
    outlet: IO[bytes]
    log: Path
    open_tasks: deque[int] = field(default_factory=deque)  # handed over and not yet answered
    is_ready: bool = False
    rest: bytes = b""  # incomplete line at the end of the last chunk


def read_sources(
    sources: Sequence[SourceFile],
    config: ReadingConfig,
    folder: Path,
    *,
    workers: int,
    part: tuple[int, int] = (0, 1),
    skip: Container[int] = (),
    max_seconds: int | None = None,
    on_reading: Callable[[Reading], None] = lambda reading: None,
) -> list[Reading]:
    """Read part k of n of the sources (every n-th from the k-th on), spooling the tokens to files in `folder`.

    Indices in `skip` are left out. A file that takes longer than `max_seconds`, by default MAX_SECONDS, is given up.
    The result is in the order of the sources for any number of workers; the parts of all k together are all sources.

    Raises:
        ShardError: No worker starts, or the spool cannot be written.
    """
    todo = deque(index for index in range(part[0], len(sources), part[1]) if index not in skip)
    pool = _Pool(sources, config, folder, todo, f"{part[0]:06d}", max_seconds or MAX_SECONDS)
    readings = []
    try:
        for reading in pool.run(min(workers, len(todo))):
            on_reading(reading)
            readings.append(reading)
    finally:
        pool.close()
    return sorted(readings, key=lambda reading: reading.index)


class _Pool:
    """Feeds workers from one queue of tasks, and replaces those that exit."""

    def __init__(
        self,
        sources: Sequence[SourceFile],
        config: ReadingConfig,
        folder: Path,
        todo: deque[int],
        label: str,
        max_seconds: int,
    ) -> None:
        self._sources, self._config, self._folder, self._todo, self._label = sources, config, folder, todo, label
        self._max_seconds = max_seconds
        self._workers: list[_Worker] = []
        self._num_started = 0
        self._selector = selectors.DefaultSelector()

    def run(self, num_workers: int) -> Iterator[Reading]:
        """Yield one reading for each task, in any order."""
        for _ in range(num_workers):
            self._start()
        while self._workers:
            for key, _ in self._selector.select():
                worker: _Worker = key.data
                if chunk := os.read(key.fd, 1 << 16):
                    yield from self._answers(worker, chunk)
                    self._feed(worker)
                else:
                    yield self._lost(worker)

    def close(self) -> None:
        """Kill all workers."""
        for worker in list(self._workers):
            self._end(worker)
        self._selector.close()

    def _start(self) -> None:
        number, self._num_started = self._num_started, self._num_started + 1
        log = self._folder / f"worker-{self._label}-{number}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                WORKER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                env=_environment(),
            )
        assert process.stdin is not None
        assert process.stdout is not None
        worker = _Worker(process, process.stdin, process.stdout, log)
        self._workers.append(worker)
        self._selector.register(worker.outlet, selectors.EVENT_READ, worker)
        spool = str(self._folder / f"spool-{self._label}-{number}.i16")
        _send(worker, {"config": asdict(self._config), "max_seconds": self._max_seconds, "spool": spool})
        self._feed(worker)

    def _feed(self, worker: _Worker) -> None:
        while self._todo and len(worker.open_tasks) < QUEUE_LENGTH:
            index = self._todo.popleft()
            worker.open_tasks.append(index)
            _send(worker, {"index": index, "source": asdict(self._sources[index])})
        if not worker.open_tasks:
            self._end(worker)

    def _answers(self, worker: _Worker, chunk: bytes) -> Iterator[Reading]:
        *lines, worker.rest = (worker.rest + chunk).split(b"\n")
        for answer in map(json.loads, lines):
            if "cannot_write" in answer:
                raise no_room(OSError(answer["cannot_write"], os.strerror(answer["cannot_write"])), self._folder.parent)
            if "ready" in answer:
                worker.is_ready = True
                continue
            worker.open_tasks.popleft()
            yield Reading.from_json(answer)

    def _lost(self, worker: _Worker) -> Reading:
        """Drop the file it was reading, and start a new worker for the others."""
        self._end(worker)
        if not worker.is_ready:
            log = worker.log.read_text(errors="replace").strip().splitlines() or ["no message"]
            raise ShardError(f"a worker process did not start ({log[-1]}); run python -m shards.worker to see why")
        culprit = worker.open_tasks.popleft()
        self._todo.extendleft(reversed(worker.open_tasks))
        if self._todo:
            self._start()
        return Reading(index=culprit, reason=_cause(worker.process.returncode, self._max_seconds))

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._selector.unregister(worker.outlet)
        worker.process.kill()  # the spool has all tokens of its answers
        worker.process.wait()
        for pipe in (worker.inlet, worker.outlet):
            with suppress(BrokenPipeError):
                pipe.close()


def _send(worker: _Worker, message: dict[str, object]) -> None:
    with suppress(BrokenPipeError):  # it exited: its output ends, and `_lost` handles that
        worker.inlet.write(json.dumps(message).encode() + b"\n")


def _environment() -> dict[str, str]:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, **one_thread, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}


def _cause(returncode: int, max_seconds: int) -> str:
    if returncode == -signal.SIGALRM:
        return f"takes longer than {max_seconds} s to read"
    name = signal.Signals(-returncode).name if returncode < 0 else f"exit status {returncode}"
    return f"crashes its reader ({name})"
