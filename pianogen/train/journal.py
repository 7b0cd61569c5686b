"""What a run tells the disk while it goes: metrics.jsonl, a line a step, and status.json."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pianogen.files import write_atomic, write_json
from pianogen.runs import Run
from pianogen.train.environment import layout
from pianogen.train.usage import USAGE, Usage

if TYPE_CHECKING:
    from pianogen.train.trainer import Position

# what a bit-exact resume cannot repeat: the clock, what is divided by it, and how busy the machine was
TIMES = frozenset({"time", "train/tokens_per_s"}) | USAGE


class Journal:
    """Appends to metrics.jsonl. Only the main rank has a run to write to; the others' journals write nothing."""

    def __init__(self, run: Run | None) -> None:
        self._run = run
        self._file = run.metrics_file.open("a", buffering=1) if run else None
        self._last: tuple[float, int] | None = None
        self._usage = Usage()
        self.speed = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file:
            self._file.close()

    def log(self, step: int, values: dict[str, Any], tokens: int | None = None) -> None:
        """Append one line: step, time and values by metric name.

        After a step of training, which gives the `tokens` seen in all, also its speed and how busy it kept the machine.
        """
        if not self._file:
            return
        now = time.time()
        if tokens is not None:
            values = {**values, "train/tokens": tokens, **self._speed(now, tokens), **self._usage.measure()}
        self._file.write(json.dumps({"step": step, "time": now, **values}) + "\n")

    def _speed(self, now: float, tokens: int) -> dict[str, float]:
        before, self._last = self._last, (now, tokens)
        if before is None or now <= before[0]:
            return {}
        tokens_per_s = (tokens - before[1]) / (now - before[0])
        self.speed = f"{tokens_per_s:,.0f} tokens/s"
        return {"train/tokens_per_s": tokens_per_s}

    @contextmanager
    def life(self, place: "Position", state: Callable[[], str]) -> Iterator[None]:
        """Say in status.json that the run is running, and how this life ended."""
        self._status("running", place)
        try:
            yield
        except BaseException:
            self.fail(place)
            raise
        self._status(state(), place)

    def fail(self, place: "Position") -> None:
        """Say in status.json that this life has failed."""
        self._status("failed", place)

    def _status(self, state: str, place: "Position") -> None:
        if self._run:
            here: dict[str, Any] = {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}
            here |= layout(int(os.environ.get("WORLD_SIZE", "1")))
            if job := os.environ.get("SLURM_JOB_ID"):
                here["slurm_job_id"] = job
            far = {"step": place.step, "tokens": place.tokens, "seconds": place.seconds}
            write_json(self._run.path / "status.json", {"state": state, **far, **here})


def cut_back(metrics_file: Path, step: int) -> None:
    """Drop the lines after `step`, and a last line that a kill left half written."""
    if not metrics_file.exists():
        return
    kept = []
    for line in metrics_file.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except ValueError:
            break
    write_atomic(metrics_file, "".join(kept))
