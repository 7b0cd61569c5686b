"""The distances as a table for the terminal."""

from collections.abc import Sequence

from pianogen.judge.comparison import Distances, Judgement

CAPTION = (
    "Frechet: distance to the reference in its standard deviations, squared, with its 95 % interval. overlap, KL: mean "
    "overlapping area (1: alike) and divergence in nats (0: alike) over all measures. floor: as many other real pieces."
)


def shown(value: float | None, digits: int = 3) -> str:
    """A number with this many significant digits; a dash without one."""
    return "-" if value is None else f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"


def print_table(judgements: Sequence[Judgement]) -> None:
    """Print each set's distances at each length of window, beside their floor."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, caption=CAPTION, caption_justify="left")
    table.add_column("set", overflow="fold")
    for heading in ("window", "Frechet", "floor", "overlap", "floor", "KL", "floor"):
        table.add_column(heading, justify="left" if heading == "window" else "right", no_wrap=True)
    for one in judgements:
        for line, (window, found) in enumerate(one.distances.items()):
            name = escape(f"{one.name} ({one.pieces:,})") if line == 0 else ""
            last = line + 1 == len(one.distances)
            style = "" if one.role == "judged" else "dim"
            table.add_row(name, window, *cells(found, one.floors.get(window)), style=style, end_section=last)
    console = Console()
    Console(width=max(100, console.width)).print(table)


def cells(found: Distances, floor: Distances | None) -> list[str]:
    """Frechet distance with its interval, overlap and divergence, each followed by its floor."""
    distance, least = found.frechet, floor.frechet if floor else None
    frechet = f"{shown(distance.distance)} [{shown(distance.low)}, {shown(distance.high)}]" if distance else "-"
    return [
        frechet,
        shown(least.distance if least else None),
        *(shown(found.overlap, 2), shown(floor.overlap if floor else None, 2)),
        *(shown(found.kl_nats, 2), shown(floor.kl_nats if floor else None, 2)),
    ]
