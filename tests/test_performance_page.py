"""docs/performance.md has a place for the table of every benchmark."""

from pathlib import Path

import pytest

from benchmarks.__main__ import GPU_NAMES, NAMES
from benchmarks.speed.page import replace_table

PAGE = (Path(__file__).parents[1] / "docs" / "performance.md").read_text()


@pytest.mark.parametrize("name", [*NAMES, *GPU_NAMES])
def test_a_table_replaces_the_old_one_and_nothing_else(name: str) -> None:
    begin, end = f"<!-- bench {name} -->\n", "<!-- end -->"
    before, _, rest = PAGE.partition(begin)
    _, _, after = rest.partition(end)
    assert replace_table(PAGE, name, "new\n\ntable") == f"{before}{begin}new\n\ntable\n{end}{after}"


def test_a_page_without_the_place_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places for head"):
        replace_table("# A page\n", "head", "table")
