"""`python -m benchmarks NAME [--json] [--rounds N]` compares ours with what a user would pick instead.

Contenders take turns, and the ratio is taken within a round, because the machine may be shared.
"""

import argparse
import importlib

from benchmarks.speed.measure import as_json, as_markdown, machine

NAMES = ("train_step",)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rows = importlib.import_module(f"benchmarks.speed.{arguments.name}").measure(arguments.rounds)
    if arguments.json:
        print(as_json(arguments.name, rows))
    else:
        print(f"{arguments.name} on {', '.join(f'{key} {value}' for key, value in machine().items())}\n")
        print(as_markdown(rows))


if __name__ == "__main__":
    main()
