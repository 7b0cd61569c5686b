"""Reading a run's metrics.jsonl as an exact resume repeats it."""

import json
from pathlib import Path
from typing import Any

from pianogen.train.usage import CPU, GPU, MEMORY

TIMES = frozenset({"time", "train/tokens_per_s", CPU, MEMORY, GPU})  # what an exact resume does not repeat


def logged_lines(run: Path) -> list[dict[str, Any]]:
    """Every complete line without times and usage; none if there is no file yet."""
    file = run / "metrics.jsonl"
    text = file.read_text() if file.exists() else ""
    lines = map(json.loads, text[: text.rfind("\n") + 1].splitlines())
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]
