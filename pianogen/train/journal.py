"""The records of a training run: metrics.jsonl, one line per step, and status.json."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pianogen.files import write_atomic, write_json
from pianogen.runs import Run
from pianogen.train.environment import layout
from pianogen.train.state import Position
from pianogen.train.usage import Usage


class Journal:
    """Appends to metrics.jsonl. Ranks other than the main one pass no run, and write nothing."""

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

        With `tokens`, the number seen in all after a training step, also its speed and the usage of the machine.
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
    def attempt(self, position: Position, outcome: Callable[[], str]) -> Iterator[None]:
        """Keep status.json up to date: running, then the outcome of this attempt."""
        self._status("running", position)
        try:
            yield
        except BaseException:
            self.fail(position)
            raise
        self._status(outcome(), position)

    def fail(self, position: Position) -> None:
        """Write to status.json that this attempt failed."""
        self._status("failed", position)

    def _status(self, state: str, position: Position) -> None:
        if self._run:
            process: dict[str, Any] = {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}
            process |= layout(int(os.environ.get("WORLD_SIZE", "1")))
            if job := os.environ.get("SLURM_JOB_ID"):
                process["slurm_job_id"] = job
            progress = {"step": position.step, "tokens": position.tokens, "seconds": position.seconds}
            write_json(self._run.path / "status.json", {"state": state, **progress, **process})


def truncate_after(metrics_file: Path, step: int) -> None:
    """Drop the lines after `step`, and an incomplete last line."""
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
