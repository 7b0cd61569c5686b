"""Progress bars on stderr, with rate and estimated time left."""

import datetime
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

console = Console(stderr=True, highlight=False)  # stdout is for results, so that they can be piped
_LINE_EVERY_S = 30.0


class _Rate(ProgressColumn):
    """Units per second, such as `812 files/s`."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        if not speed or not unit:
            return Text("")
        return Text(f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.2f} {unit}/s", style="cyan")


class Progress:
    """One bar; where stderr is not a terminal, a line at the start, at the end and every 30 seconds in between.

    Example:
        with Progress("reading", total=1276, unit="files") as bar:
            bar.advance(1, note="MAESTRO")
    """

    def __init__(self, description: str, total: float | None = None, unit: str = "", *, shown: bool = True) -> None:
        self._description, self._shown = description, shown
        self._next_line = time.monotonic() + _LINE_EVERY_S
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
            transient=False,
            disable=not (shown and console.is_terminal),
        )
        self._task = self._bar.add_task(description, total=total, unit=unit, note="")

    def __enter__(self) -> Self:
        self._line("...")
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._bar.stop()
        task = self._bar.tasks[0]
        if kind is None:
            self._line(f"{task.completed:,.0f} {task.fields['unit']}".rstrip() + f", {task.elapsed or 0:.1f} s")

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Advance by `amount` units, and show `note` after the bar."""
        self._bar.advance(self._task, amount)
        self._refresh(note)

    def update(self, completed: float, total: float | None = None, note: str | None = None) -> None:
        """Set the number of completed units."""
        self._bar.update(self._task, completed=completed)
        if total is not None:
            self._bar.update(self._task, total=total)
        self._refresh(note)

    def _refresh(self, note: str | None) -> None:
        if note is not None:
            self._bar.update(self._task, note=note)
        if time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            self._line(self._state())

    def _state(self) -> str:
        task = self._bar.tasks[0]
        of = f" of {task.total:,.0f}" if task.total is not None else ""
        left = f", {datetime.timedelta(seconds=round(task.time_remaining))} left" if task.time_remaining else ""
        return f"{task.completed:,.0f}{of} {task.fields['unit']}{left}  {task.fields['note']}".rstrip()

    def _line(self, text: str) -> None:
        """Print a line where there is no terminal to show the bar."""
        if self._shown and not console.is_terminal:
            console.print(f"{self._description}: {text}", soft_wrap=True)


@contextmanager
def status(description: str) -> Iterator[None]:
    """Show a spinner during a task of unknown length."""
    with console.status(description):
        yield
