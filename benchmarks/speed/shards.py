"""`pianogen shards maestro` with two workers beside only parsing the same files with symusic in one process.

The job does all it does for a user: it hashes the archive and every file, reads, tokenizes, writes, syncs to the disk.
PIANOGEN_MAESTRO_ARCHIVE must be the path of maestro-v3.0.0-midi.zip.
"""

import os
import statistics
import tempfile
import zipfile
from pathlib import Path

import symusic

from benchmarks.speed.measure import Row, ratios, seconds_in_turn
from pianogen.config import ShardsConfig
from shards.build import build

WORKERS = 2
_BOUND = 1 / 3  # of the speed of parsing alone


def parse_alone(archive: Path) -> int:
    """Unzip and parse every file of the archive, do nothing with it, and return their number."""
    with zipfile.ZipFile(archive) as files:
        names = [name for name in files.namelist() if name.endswith((".midi", ".mid"))]
        for name in names:
            symusic.Score.from_midi(files.read(name))
    return len(names)


def whole_job(archive: Path) -> None:
    """From the archive to finished shards."""
    with tempfile.TemporaryDirectory() as folder:
        build("maestro", Path(folder), ShardsConfig(archive=str(archive), workers=WORKERS))


def measure(rounds: int = 5) -> list[Row]:
    """One row; parsing alone is also the limit. None without the archive."""
    if "PIANOGEN_MAESTRO_ARCHIVE" not in os.environ:
        return []
    archive = Path(os.environ["PIANOGEN_MAESTRO_ARCHIVE"])
    num_files = parse_alone(archive)
    contenders = {"parsing": lambda: parse_alone(archive), "job": lambda: whole_job(archive)}
    seconds = seconds_in_turn(contenders, rounds)
    parsing, job = (num_files / statistics.median(seconds[name]) for name in ("parsing", "job"))
    against = ratios(seconds["parsing"], seconds["job"])
    return [Row("maestro", "files/s", job, parsing, parsing, "symusic parsing alone", *against, _BOUND)]
