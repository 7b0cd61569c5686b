"""docs/scaling.md shows the output of benchmarks/scaling/prediction.py, and labels it as arithmetic."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def printed() -> str:
    command = [sys.executable, "-m", "benchmarks.scaling.prediction"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_page_shows_every_line_of_the_predicted_tables(printed: str) -> None:
    page = (ROOT / "docs/scaling.md").read_text().splitlines()
    rows = [line for line in printed.splitlines() if line.startswith("|")]
    assert len(rows) > 30
    assert [row for row in rows if row not in page] == []


def test_every_heading_over_a_prediction_calls_it_arithmetic(printed: str) -> None:
    first_cells = {line for line in printed.splitlines() if re.match(r"\| \d+ \|", line)}
    heading, headings = "", set()
    for line in (ROOT / "docs/scaling.md").read_text().splitlines():
        heading = line if line.startswith("#") else heading
        headings |= {heading} if line in first_cells else set()
    assert headings
    assert all("arithmetic, not measurement" in heading for heading in headings)
