"""Memory and time to open the shards of a large data set: `python -m benchmarks.open_shards [--performances 100000]`.

The manifest is synthetic, and the tars are empty files of the right size (holes), whose hashes are not compared: what
is measured is reading the manifest and the order of a stream, in a process of its own.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.speed.synthetic_shards import PER_SHARD, manifest_of, record
from pianogen.manifest import MANIFEST_NAME, PerformanceRecord, ShardRecord

NUM_TOKENS = 17_308  # mean of a MAESTRO training performance
MEMBER_BYTES = 40_000  # tokens and metadata with their headers, at most
OPEN = """
import gc, re, resource, sys, time
from pianogen.data import open_shards, training_batches
def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6
before, start = resident_mb(), time.perf_counter()
shards = open_shards(sys.argv[1], verify=False)
split = shards.split("train")
seconds = time.perf_counter() - start
batches = training_batches(split, order="stream", excerpt_tokens=256, global_batch=64, seed=0, transposed=True)
batches.order.spans(0, range(64))
gc.collect()
added = resident_mb() - before
peak = int(re.search("VmHWM: *\\t* *([0-9]+)", open("/proc/self/status").read())[1]) * 1024 / 1e6
print(f"{len(split):,} performances: {seconds:.2f} s; resident {before:.0f} MB before, +{added:.0f} MB after "
      f"({1e6 * added / len(split):.0f} bytes each), peak {peak:.0f} MB")
"""


def located(index: int) -> PerformanceRecord:
    """A performance of the manifest."""
    start = index % PER_SHARD * MEMBER_BYTES
    return replace(
        record(index, NUM_TOKENS),
        tokens_offset=start + 512,
        metadata_offset=start + 36_000,
        metadata_bytes=400,
    )


def shards_of(performances: list[PerformanceRecord]) -> list[ShardRecord]:
    """The tars that hold them."""
    counts = Counter(one.shard for one in performances)
    return [
        ShardRecord(name, "train", count, count * NUM_TOKENS, MEMBER_BYTES * count, "0" * 64)
        for name, count in counts.items()
    ]


def main() -> None:
    """Write the manifest, and open it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--performances", type=int, default=100_000)
    performances = [located(index) for index in range(parser.parse_args().performances)]
    manifest = manifest_of(shards_of(performances), performances)
    with tempfile.TemporaryDirectory() as folder:
        for shard in manifest.shards:
            with (Path(folder) / shard.name).open("wb") as tar:
                tar.truncate(shard.num_bytes)
        (Path(folder) / MANIFEST_NAME).write_bytes(manifest.to_bytes())
        subprocess.run([sys.executable, "-c", OPEN, folder], check=True)


if __name__ == "__main__":
    main()
