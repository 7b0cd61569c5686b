"""How long `pianogen --help` takes, beside Python alone and beside importing torch."""

import statistics
import subprocess
import sys

from benchmarks.speed.measure import Contender, Row, ratios, seconds_in_turn

_OURS = {"help": ["--help"], "tokens_help": ["tokens", "--help"], "train_help": ["train", "--help"]}


def measure(rounds: int = 5) -> list[Row]:
    """Each as a process of its own, in starts per second; the limit is `python -c pass`."""
    ways: dict[str, Contender] = {name: _start("-m", "pianogen", *words) for name, words in _OURS.items()}
    ways |= {"torch": _start("-c", "import torch"), "python": _start("-c", "pass")}
    seconds = seconds_in_turn(ways, rounds)
    return [row for name in _OURS for row in _rows(name, seconds)]


def _start(*words: str) -> Contender:
    return lambda: subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)


def _rows(name: str, seconds: dict[str, list[float]]) -> list[Row]:
    ours, other, limit = (1 / statistics.median(seconds[one]) for one in (name, "torch", "python"))
    against_torch, against_python = (ratios(seconds[one], seconds[name]) for one in ("torch", "python"))
    return [
        Row(f"startup_{name}", "starts/s", ours, other, limit, "import torch", *against_torch),
        Row(f"startup_{name}", "starts/s", ours, None, limit, "limit", *against_python),
    ]
