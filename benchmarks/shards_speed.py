"""How long `pianogen shards maestro` takes, against only parsing the same files with symusic in one process.

    PIANOGEN_MAESTRO_ARCHIVE=maestro-v3.0.0-midi.zip python benchmarks/shards_speed.py [--workers 2] [--repeats 5]

The two take turns in one run, so that a busy machine slows both. The job does all it does for a user: it hashes the
archive and every file, reads, tokenizes, writes, syncs to the disk. The promise is a ratio of at most 3 with 2 workers.
"""

import argparse
import os
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

import symusic

from pianogen.config import ShardsConfig
from shards.build import build


def parse_alone(archive: Path) -> float:
    """Seconds to unzip and parse every file of the archive, and do nothing with it."""
    start = time.perf_counter()
    with zipfile.ZipFile(archive) as files:
        for name in files.namelist():
            if name.endswith((".midi", ".mid")):
                symusic.Score.from_midi(files.read(name))
    return time.perf_counter() - start


def whole_job(archive: Path, workers: int) -> float:
    """Seconds from the archive to finished shards."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        build("maestro", Path(folder), ShardsConfig(archive=str(archive), workers=workers))
        return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, default=os.environ.get("PIANOGEN_MAESTRO_ARCHIVE"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    if args.archive is None:
        parser.error("give --archive, or set PIANOGEN_MAESTRO_ARCHIVE")
    pairs = [(parse_alone(args.archive), whole_job(args.archive, args.workers)) for _ in range(args.repeats)]
    parsing, job = zip(*pairs, strict=True)
    ratios = [whole / alone for alone, whole in pairs]
    for name, values, unit in (("parsing alone", parsing, " s"), ("whole job", job, " s"), ("ratio", ratios, "")):
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"{name:14} median {statistics.median(values):.2f}{unit} ({spread}, {args.repeats} repeats)")


if __name__ == "__main__":
    main()
