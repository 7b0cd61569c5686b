"""`pianogen train` on two ranks and on one: LSTM with attention, 16 rows of 256 tokens in all, the built-in corpus."""

import contextlib
import os
import statistics
import tempfile
from pathlib import Path

from benchmarks.scaling.launcher import ROOT, Bench
from benchmarks.speed.measure import Row, ratios
from pianogen.config import ShardsConfig
from shards.build import build

_GLOBAL_BATCH, _STEPS = 16, 6


def measure(rounds: int = 5) -> list[Row]:
    """One thread per rank; the limit is twice the speed of one rank."""
    speeds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder, contextlib.chdir(folder):
        build("corpus", Path("shards"), ShardsConfig(workers=len(os.sched_getaffinity(0))))
        settings = [f"--config={ROOT / 'configs/attn.yaml'}", f"--shards={Path('shards').resolve()}"]
        bench = Bench(settings, _STEPS, Path.cwd())
        for _ in range(rounds):
            for ranks, found in speeds.items():
                found.append(bench.train((ranks, _GLOBAL_BATCH // ranks)).tokens_per_s)
    one, two = (1e-3 * statistics.median(speeds[ranks]) for ranks in (1, 2))
    return [
        Row("2_ranks_vs_1", "ktok/s", two, one, 2 * one, "1 rank, same global batch", *ratios(speeds[2], speeds[1]))
    ]
