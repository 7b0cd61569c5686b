"""`python -m pianogen.metrics.music docs/metrics.md` writes the tables of that page anew."""

import math
import re
import sys
from pathlib import Path

from pianogen.metrics.music import METRICS, Piece, Windows
from pianogen.metrics.music.extremes import EXTREMES


def page_with_tables(page: str) -> str:
    """The page with its tables, each between `<!-- table NAME -->` and `<!-- end -->`, replaced."""
    for name, table in {"definitions": definitions(), "extremes": extremes()}.items():
        pattern = rf"(<!-- table {name} -->\n).*?(<!-- end -->)"
        page = re.sub(pattern, lambda found, table=table: f"{found[1]}{table}{found[2]}", page, flags=re.DOTALL)
    return page


def definitions() -> str:
    """What each measure is."""
    rows = [["measure", "definition", "unit", "range", "not defined", "windows", "source"], ["---"] * 7]
    for one in METRICS:
        what = [one.definition, one.unit_and_size, one.limits, one.undefined or "-", one.windows, one.reference]
        rows.append([f"`{one.name}`", *what])
    return _table(rows)


def extremes() -> str:
    """The measures of one value on pieces whose measures are known beforehand."""
    pieces = {name: Windows.whole(Piece.of(make())) for name, make in EXTREMES.items()}
    rows = [["measure", *pieces], ["---", *["---:"] * len(pieces)]]
    rows += [
        [f"`{one.name}`", *(_number(float(one(windows)[0, 0])) for windows in pieces.values())]
        for one in METRICS
        if one.size == 1
    ]
    return _table(rows)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}" if value else "0"


def _table(rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page_with_tables(path.read_text("utf-8")), "utf-8")
