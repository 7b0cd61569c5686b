"""Compare pianogen's score readers with independent readers of the same formats.

    python -m benchmarks.score_readers {musicxml,abc,kern} FOLDER [--limit FILES]

Every piece below FOLDER is read twice. The notes (onset, end and pitch) are compared with ties joined, without grace
notes, and with repeats not expanded. Pieces with different notes and errors are listed, then the pieces by outcome and
the CPU time of each reader. music21 and abc2midi are dependencies of pianogen; for kern, install verovio.
"""

import argparse
import importlib
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.score_readers.comparison import SecondReader, compare

_MODULES = {"musicxml": "music21_reader", "abc": "abc2midi_reader", "kern": "verovio_reader"}


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=list(_MODULES))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, help="read at most this number of files")
    args = parser.parse_args()
    try:
        second: SecondReader = importlib.import_module(f"{__package__}.{_MODULES[args.format]}").second_reader()
    except ImportError as error:
        parser.exit(2, f"the second reader cannot be imported: {error}; run pip install {error.name}\n")
    files = sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in second.suffixes)[: args.limit]
    if not files:
        parser.exit(2, f"{args.folder} holds no {' or '.join(second.suffixes)} files\n")
    outcomes, seconds = Counter[str](), {"pianogen": 0.0, second.name: 0.0}
    with tempfile.TemporaryDirectory() as folder:
        for piece in (piece for file in files for piece in second.pieces(file, Path(folder))):
            comparison = compare(piece.path, second)
            outcomes[comparison.outcome] += 1
            seconds["pianogen"] += comparison.own_seconds
            seconds[second.name] += comparison.second_seconds
            if comparison.detail:
                print(f"{piece.name}: {comparison.outcome}: {comparison.detail}")
    print(f"{len(files)} files, {outcomes.total()} pieces")
    for outcome, count in outcomes.most_common():
        print(f"{count:6} {outcome}")
    print("CPU seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))


if __name__ == "__main__":
    main()
