"""Memory and time to open the shards of a large data set: `python -m benchmarks.open_shards [--performances 100000]`.

The manifest is synthetic, and the tars are empty files of the right size (holes), whose hashes are not compared: what
is measured is reading the manifest, in a process of its own.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from pianogen.config import TokenizerConfig
from pianogen.manifest import MANIFEST_NAME, Manifest, PerformanceRecord, ShardRecord, TokenizerRecord
from pianogen.tokens.vocab import WORDS, fingerprint

PER_SHARD = 500
NUM_TOKENS = 17_308  # mean of a MAESTRO training performance
MEMBER_BYTES = 40_000  # tokens and metadata with their headers, at most
OPEN = """
import gc, resource, sys, time
from pianogen.data import open_shards
def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6
before, start = resident_mb(), time.perf_counter()
shards = open_shards(sys.argv[1], verify=False)
split = shards.split("train")
seconds = time.perf_counter() - start
gc.collect()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(f"{len(split):,} performances: {seconds:.2f} s; resident {before:.0f} MB before, {resident_mb():.0f} MB after "
      f"(+{resident_mb() - before:.0f}), peak {peak:.0f} MB")
"""


def performance(index: int) -> PerformanceRecord:
    """A performance of the manifest."""
    shard, number = divmod(index, PER_SHARD)
    start = number * MEMBER_BYTES
    return PerformanceRecord(
        key=f"{index:09d}",
        shard=f"train-{shard:06d}.tar",
        split="train",
        num_tokens=NUM_TOKENS,
        num_notes=5_000,
        seconds=500.0,
        tempo=1.0,
        lowest_pitch=21,
        highest_pitch=108,
        source=f"2004/MIDI-Unprocessed_{index:09d}_MID--AUDIO_wav--1.midi",
        sha256=f"{index:064x}",
        composer="Johann Sebastian Bach",
        title=f"Prelude and Fugue No. {index}",
        tokens_offset=start + 512,
        metadata_offset=start + 36_000,
        metadata_bytes=400,
    )


def manifest_of(performances: list[PerformanceRecord]) -> Manifest:
    """A manifest of one split."""
    shards = [
        ShardRecord(
            f"train-{number // PER_SHARD:06d}.tar", "train", count, count * NUM_TOKENS, MEMBER_BYTES * count, "0" * 64
        )
        for number in range(0, len(performances), PER_SHARD)
        for count in [min(PER_SHARD, len(performances) - number)]
    ]
    tokenizer = TokenizerConfig()
    return Manifest(
        fingerprint="0" * 64,
        source={},
        settings={},
        tokenizer=TokenizerRecord(fingerprint(tokenizer), vars(tokenizer), list(WORDS)),
        readers={},
        splits={},
        report={},
        shards=shards,
        missing=[],
        dropped=[],
        inconsistent_scores=0,
        performances=performances,
    )


def main() -> None:
    """Write the manifest, and open it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--performances", type=int, default=100_000)
    manifest = manifest_of([performance(index) for index in range(parser.parse_args().performances)])
    with tempfile.TemporaryDirectory() as folder:
        for shard in manifest.shards:
            with (Path(folder) / shard.name).open("wb") as tar:
                tar.truncate(shard.num_bytes)
        (Path(folder) / MANIFEST_NAME).write_bytes(manifest.to_bytes())
        subprocess.run([sys.executable, "-c", OPEN, folder], check=True)


if __name__ == "__main__":
    main()
