"""How fast `pianogen train` is on 1, 2, 4 ranks of this machine, and whether the cost model says so.

    python -m benchmarks.scaling --shards DIR [--ranks 1 2 4] [--steps 6] [--rounds 5] [-- --data.order excerpts ...]

Every round trains once in each way, one way after another, so that a noisy machine disturbs all alike; what counts is
the ratio within a round, its median and its range. Strong scaling shares one global batch out; weak scaling keeps the
rows of a rank. What follows `--` goes to `pianogen train`. Ranks take GPUs where torch finds any, else a thread each.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.scaling.counts import counts_of
from benchmarks.scaling.launcher import ROOT, WARM_UP_STEPS, Bench
from benchmarks.scaling.report import Round, Way, check_table, exchange_table, speed_table
from pianogen.runs import open_run


def ways_of(ranks: Sequence[int], global_batch: int) -> list[Way]:
    """Strong scaling; weak scaling with the fewest rows of it; and one rank with as many rows as any."""
    strong = [(number, global_batch // number) for number in ranks]
    weak = [(number, global_batch // max(ranks)) for number in ranks]
    return sorted({*strong, *weak, *((1, rows) for _, rows in strong)})


def take_round(bench: Bench, ranks: Sequence[int], global_batch: int) -> Round:
    """Train in every way, then time the exchange of every number of ranks."""
    speeds = {}
    for way in ways_of(ranks, global_batch):
        speeds[way] = bench.train(way)
        print(f"{way[0]} ranks, {way[1]} rows: {speeds[way].tokens_per_s:,.0f} tokens/s", file=sys.stderr, flush=True)
    exchanges = {number: bench.exchange((number, global_batch // number)) for number in ranks if number > 1}
    return Round(speeds, exchanges)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=ROOT / "configs/attn.yaml")
    parser.add_argument("--global_batch", type=int, default=64)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--steps", type=int, default=6, help=f"of a run; the first {WARM_UP_STEPS} do not count")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="keep the last round's runs in this folder")
    parser.add_argument("settings", nargs="*", help="for `pianogen train`, after --")
    args = parser.parse_args()
    args.ranks = sorted({1, *args.ranks})
    if len(args.ranks) < 2 or any(number < 1 or args.global_batch % number for number in args.ranks):
        parser.error(f"--ranks needs numbers above 1 that divide the global batch, {args.global_batch}")
    if args.steps <= WARM_UP_STEPS or args.rounds < 1:
        parser.error(f"--steps must be above {WARM_UP_STEPS}, and --rounds at least 1")
    return args


def main() -> None:
    """Measure and print."""
    args = parse()
    load, gpus, cores = os.getloadavg()[0], torch.cuda.device_count(), len(os.sched_getaffinity(0))
    places, kind = (gpus, "GPUs") if gpus else (cores, "cores")
    out = args.out or Path(tempfile.mkdtemp(prefix="scaling-"))
    settings = [f"--config={args.config.resolve()}", f"--shards={args.shards.resolve()}", *args.settings]
    bench = Bench(settings, args.steps, out.resolve())
    rounds = [take_round(bench, args.ranks, args.global_batch) for _ in range(args.rounds)]
    counts = counts_of(open_run(bench.folder((1, args.global_batch))).config.model)
    print(f"{places} {kind}, load {load:.1f} before; {args.rounds} rounds of {args.steps} steps, median (range):")
    tables = speed_table(rounds), exchange_table(rounds, counts, places), check_table(rounds, counts, places)
    print("", "\n\n".join(tables), sep="\n")
    if args.out is None:
        shutil.rmtree(out)


if __name__ == "__main__":
    main()
