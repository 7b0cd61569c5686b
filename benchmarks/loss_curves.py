"""The loss curves of one rank, two ranks, ZeRO 1, 2, 3 and two Slurm nodes on the same global batches, as a table.

    python benchmarks/loss_curves.py --shards DIR [--steps 100] [--models rnn lstm attn] [-- --model.hidden_size 64 ...]

What follows `--` goes to `pianogen train`. Every way reads the same samples at every step; what differs is the order in
which gradients are added up. The last column is the largest difference to one rank at any step, relative to the loss.
Two nodes are asked for where there is an `sbatch`; OUT must then be on a file system that the nodes share.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODELS = ("rnn", "lstm", "attn")
ONE_RANK = "1 rank"
_PYTHON = (sys.executable, "-m")
_TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m")
_SHOWN_OF_ERROR = 3000  # characters


def ways(kind: str, sbatch_options: str) -> dict[str, tuple[str, ...]]:
    """The command of each way to train, to which the settings are added."""
    given = ("pianogen.train", "--config", str(ROOT / f"configs/{kind}.yaml"))
    one, two = (*_PYTHON, *given), (*_PYTHON, *_TORCHRUN, *given)
    folder = ROOT / "configs/deepspeed"
    zero = {f"2 ranks, ZeRO {stage}": (*two, "--deepspeed", str(folder / f"zero{stage}.json")) for stage in (1, 2, 3)}
    job = ("sbatch", "--wait", "--nodes=2", *sbatch_options.split(), str(ROOT / f"slurm/train_{kind}.sh"))
    nodes = {"2 nodes, DDP": job} if shutil.which("sbatch") else {}
    return {ONE_RANK: one, "2 ranks, DDP": two, **zero, **nodes}


def train(command: Sequence[str], settings: Sequence[str], out: Path) -> list[float]:
    """Run one way to its end and return the loss of each step."""
    variables = {"OMP_NUM_THREADS": "1", **os.environ, "PIANOGEN_TRACK": "off", "PYTHONPATH": str(ROOT)}
    words = [*command, *settings, "--out", str(out)]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, cwd=out.parent)
    if done.returncode:
        logs = "".join(path.read_text() for path in out.parent.glob("*.log"))
        sys.exit(f"{' '.join(words)} failed:\n{(done.stderr + logs)[-_SHOWN_OF_ERROR:]}")
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [line["train/loss"] for line in lines if "train/loss" in line]


def largest_difference(losses: Sequence[float], reference: Sequence[float]) -> float:
    """The largest of the relative differences at each step."""
    return max(abs(one - other) / other for one, other in zip(losses, reference, strict=True))


def row(kind: str, way: str, losses: Sequence[float], reference: Sequence[float], shown: Sequence[int]) -> str:
    """One line of the table."""
    difference = "" if way == ONE_RANK else f"{largest_difference(losses, reference):.1e}"
    return f"| {' | '.join([kind, way, *(f'{losses[step - 1]:.6f}' for step in shown), difference])} |"


def steps_shown(steps: int) -> list[int]:
    """The first step, the last, and some between."""
    return sorted({1, *(max(1, steps * part // 4) for part in range(1, 5))})


def main() -> None:
    """Train every model in every way and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="keep the runs in this new folder")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--sbatch", default="--cpus-per-task=1", help="options for sbatch")
    parser.add_argument("settings", nargs="*", help="for `pianogen train`, after --")
    args = parser.parse_args()
    out = args.out or Path(tempfile.mkdtemp(prefix="loss-curves-"))
    out.mkdir(parents=True, exist_ok=bool(args.out is None))
    settings = ["--shards", str(args.shards.resolve()), "--budget.steps", str(args.steps), *args.settings]
    shown = steps_shown(args.steps)
    print(f"| model | way | {' | '.join(f'step {step}' for step in shown)} | largest difference to 1 rank |")
    print(f"| --- | --- | {'---: | ' * (len(shown) + 1)}".rstrip())
    for kind in args.models:
        reference: list[float] = []
        for number, (way, command) in enumerate(ways(kind, args.sbatch).items()):
            losses = train(command, settings, out.resolve() / f"{kind}-{number}")
            reference = reference or losses
            print(row(kind, way, losses, reference, shown), flush=True)
    if args.out is None:
        shutil.rmtree(out)


if __name__ == "__main__":
    main()
