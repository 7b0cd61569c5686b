"""Progress bars on stderr: what is being done, how fast, and how long it will still take."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
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

# stdout belongs to results, so that they can be piped
console = Console(stderr=True, highlight=False)


class _Rate(ProgressColumn):
    """Units a second, such as `812 files/s`."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        if not speed or not unit:
            return Text("")
        return Text(f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.2f} {unit}/s", style="cyan")


class Progress:
    """One bar; where stderr is no terminal, one line when it begins and one when it ends.

    Example:
        with Progress("reading", total=1276, unit="files") as bar:
            bar.advance(1, note="MAESTRO")
    """

    def __init__(self, description: str, total: float | None = None, unit: str = "") -> None:
        self._description = description
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
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(description, total=total, unit=unit, note="")

    def __enter__(self) -> Self:
        if not console.is_terminal:
            console.print(f"{self._description} ...")
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is None and not console.is_terminal:
            task = self._bar.tasks[0]
            console.print(
                f"{self._description}: {task.completed:,.0f} {task.fields['unit']}".rstrip()
                + f", {task.elapsed or 0:.1f} s"
            )

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Move on by `amount` units, and show `note` behind the bar."""
        self._bar.advance(self._task, amount)
        if note is not None:
            self._bar.update(self._task, note=note)

    def update(self, completed: float, total: float | None = None, note: str | None = None) -> None:
        """Set how far it is."""
        self._bar.update(self._task, completed=completed)
        if total is not None:
            self._bar.update(self._task, total=total)
        if note is not None:
            self._bar.update(self._task, note=note)


@contextmanager
def status(description: str) -> Iterator[None]:
    """Show that something of unknown length goes on."""
    with console.status(description):
        yield
