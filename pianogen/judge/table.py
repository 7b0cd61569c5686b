"""The distances as a table for the terminal."""

from collections.abc import Sequence

from rich.markup import escape

from pianogen.judge.comparison import Distances, Judgement
from pianogen.terminal import plain_table, print_tables

CAPTION = (
    "Frechet: distance to the reference in its standard deviations, squared, with its 95 % interval. overlap, KL: mean "
    "overlapping area (1: alike) and divergence in nats (0: alike) over all measures. floor: as many other real pieces."
)


def shown(value: float | None, digits: int = 3) -> str:
    """A number with this many significant digits; a dash without one."""
    return "-" if value is None else f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"


def print_table(judgements: Sequence[Judgement]) -> None:
    """Print each set's distances at each length of window, beside their floor."""
    numbers = ("Frechet", "floor", "overlap", "floor", "KL", "floor")
    table = plain_table(CAPTION, text=("set", "window"), numbers=numbers)
    for one in judgements:
        for line, (window, found) in enumerate(one.distances.items()):
            name = escape(f"{one.name} ({one.pieces:,})") if line == 0 else ""
            last = line + 1 == len(one.distances)
            style = "" if one.role == "judged" else "dim"
            cell = cells(found, one.floors.get(window))
            frechet = f"{cell['frechet']} {cell['interval']}".rstrip()
            others = [cell[key] for key in ("frechet_floor", "overlap", "overlap_floor", "kl", "kl_floor")]
            table.add_row(name, window, frechet, *others, style=style, end_section=last)
    print_tables(table)


def cells(found: Distances, floor: Distances | None) -> dict[str, str]:
    """Frechet distance, its interval (empty without one), overlap and divergence, and the floor of each."""
    distance, least = found.frechet, floor.frechet if floor else None
    return {
        "frechet": shown(distance.distance if distance else None),
        "interval": f"[{shown(distance.low)}, {shown(distance.high)}]" if distance else "",
        "frechet_floor": shown(least.distance if least else None),
        "overlap": shown(found.overlap, 2),
        "overlap_floor": shown(floor.overlap if floor else None, 2),
        "kl": shown(found.kl_nats, 2),
        "kl_floor": shown(floor.kl_nats if floor else None, 2),
    }
