"""Tables in the terminal, on stdout, in one style."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

_MIN_WIDTH = 100  # characters, also where the terminal is narrower or stdout is a file


def plain_table(caption: str | None = None, *, text: Sequence[str] = (), numbers: Sequence[str] = ()) -> Table:
    """A table without lines between rows; columns of text come first and wrap, columns of numbers do not."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, caption=caption, caption_justify="left")
    for heading in text:
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_tables(*tables: Table) -> None:
    """Print tables at the width of the terminal, but at least 100 characters wide."""
    console = Console(highlight=False)
    console.width = max(_MIN_WIDTH, console.width)
    for table in tables:
        console.print(table)
