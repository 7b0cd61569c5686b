"""`python -m benchmarks [NAME] [--json] [--rounds N] [--write PAGE]` compares ours with what a user would pick instead.

Contenders take turns, and the ratio is taken within a round, because the machine may be shared. Without a NAME every
benchmark of a CPU runs. `--write` puts each table into the page, between `<!-- bench NAME -->` and `<!-- end -->`.
"""

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks.speed.measure import as_json, as_markdown, machine_line
from benchmarks.speed.page import replace_table

NAMES = ("train_step", "recurrence", "attention", "head", "generate")
NAMES += ("shards", "loader", "evaluate", "startup", "scaling")
GPU_NAMES = ("gpu_step", "gpu_ranks")


def main() -> None:
    """Measure, and print or write the tables."""
    arguments = _parse()
    for name in [arguments.name] if arguments.name else NAMES:
        if not arguments.name:
            print(f"benchmark {name} ...", file=sys.stderr, flush=True)
        rows = importlib.import_module(f"benchmarks.speed.{name}").measure(arguments.rounds)
        table = f"`python -m benchmarks {name} --rounds {arguments.rounds}` on {machine_line()}:\n\n{as_markdown(rows)}"
        print(as_json(name, rows) if arguments.json else f"{table}\n", flush=True)
        if arguments.write:
            arguments.write.write_text(replace_table(arguments.write.read_text(), name, table))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", choices=(*NAMES, *GPU_NAMES))
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace the tables of this page")
    arguments = parser.parse_args()
    if arguments.rounds < 2:
        parser.error(f"--rounds is {arguments.rounds}, but a spread needs at least 2")
    if arguments.write and not arguments.write.is_file():
        parser.error(f"--write {arguments.write}: no such file")
    return arguments


if __name__ == "__main__":
    main()
