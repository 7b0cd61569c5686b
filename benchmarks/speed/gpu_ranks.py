"""Training steps on 1 to N GPUs of this machine over NCCL, plain data parallelism (DDP) and DeepSpeed's ZeRO 1 to 3.

Each number of ranks and each way is a job of its own, which torchrun starts: it makes the trainer of `pianogen train`
for the attention model in bf16, and times its step, with the exchange of gradients, on tokens that are made up. Strong
scaling: the global batch is the same for any number of ranks.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import torch
from accelerate import Accelerator

from benchmarks.scaling.exchange import slowest_s
from benchmarks.speed.gpu import gpu, peak_mb
from benchmarks.speed.gpu_step import Precision, streamed_tokens
from benchmarks.speed.measure import Row, ratios
from benchmarks.speed.train_step import HIDDEN, STEPS
from pianogen.config import ModelConfig, TrainConfig
from pianogen.data import Batch, Batches
from pianogen.distributed.process_group import end_ranks, gather_rows, start_ranks
from pianogen.ops.arithmetic import reproducible_on_gpu
from pianogen.train.trainer import Trainer
from pianogen.train.zero import make_plugin

ROOT = Path(__file__).parents[2]
Way = Literal["ddp", "zero1", "zero2", "zero3"]
WAYS: tuple[Way, ...] = ("ddp", "zero1", "zero2", "zero3")
_SHOWN_OF_ERROR = 3000  # characters


@dataclass(frozen=True)
class Job:
    """One way to train."""

    ranks: int
    way: Way
    global_batch: int
    hidden: int = HIDDEN
    steps: int = STEPS
    """Positions of a row."""
    precision: Precision = "bf16"
    repeats: int = 10
    """Training steps of a round."""
    rounds: int = 5


@dataclass(frozen=True)
class Measured:
    """What the main rank of a job prints."""

    seconds: list[float]
    """Of a training step of the slowest rank, in each round."""
    peak_mb: float | None
    """Memory that a step adds at its peak, on the rank that needs most."""


def measure(rounds: int = 5) -> list[Row]:
    """DDP and every ZeRO stage on 1, 2, 4, ... GPUs of this machine, up to 64, at global batch 64 and 512."""
    gpu()
    ranks = [number for number in (1, 2, 4, 8, 16, 32, 64) if number <= torch.cuda.device_count()]
    return [
        row
        for global_batch in (64, 512)
        for row in compare([Job(number, way, global_batch, rounds=rounds) for number in ranks for way in WAYS])
    ]


def compare(jobs: Sequence[Job]) -> list[Row]:
    """Run jobs of one global batch, and compare each with the first; one that fails says so and has no row."""
    measured = {job: found for job in jobs if (found := run(job)) is not None}
    if not measured:
        return []
    first, reference = next(iter(measured.items()))
    rows = []
    for job, found in measured.items():
        tokens = 1e-3 * job.global_batch * job.steps
        ours, other = (tokens / statistics.median(each.seconds) for each in (found, reference))
        name = f"attn_{job.precision}_batch_{job.global_batch}_{job.way}_ranks_{job.ranks}"
        label = f"{first.way}, {first.ranks} rank{'s' if first.ranks > 1 else ''}"
        ratio = ratios(reference.seconds, found.seconds)
        rows.append(Row(name, "ktok/s", ours, other, None, label, *ratio, peak_mb=found.peak_mb))
    return rows


def run(job: Job) -> Measured | None:
    """Start a job with torchrun; return what its main rank measured, or None, after printing its error, if it fails."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={job.ranks}"]
    command = [*launcher, "-m", "benchmarks.speed.gpu_ranks", json.dumps(asdict(job))]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(f"{job} failed:\n{done.stderr[-_SHOWN_OF_ERROR:]}", file=sys.stderr)
        return None
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


@reproducible_on_gpu()
def measure_as_rank(job: Job) -> Measured:
    """What each rank of a job does."""
    stage = None if job.way == "ddp" else str(ROOT / f"configs/deepspeed/{job.way}.json")
    accelerator = start_ranks(make_plugin(stage, 1.0) if stage else None)
    trainer, batch = _trainer(job, stage, accelerator)
    num_targets = job.global_batch * job.steps

    def steps() -> None:
        for _ in range(job.repeats):
            trainer.step(batch, num_targets)

    seconds = [slowest_s(steps, accelerator.device) / job.repeats for _ in range(job.rounds + 1)]
    peak = peak_mb(lambda: trainer.step(batch, num_targets), accelerator.device)
    peaks = gather_rows(torch.tensor([peak or 0.0], device=accelerator.device))
    end_ranks()
    return Measured(seconds[1:], None if peak is None else float(peaks.max()))


def _trainer(job: Job, deepspeed: str | None, accelerator: Accelerator) -> tuple[Trainer, Batch]:
    """The trainer of `pianogen train`, and this rank's rows of a step."""
    config = TrainConfig(
        global_batch=job.global_batch,
        precision=job.precision,
        deepspeed=deepspeed,
        model=ModelConfig("attn", job.hidden),
    )
    # all that a trainer asks of its batches in a step
    batches: Any = SimpleNamespace(order=SimpleNamespace(begins_afresh=lambda step: False))
    trainer = Trainer(config, cast("Batches", batches), accelerator)
    rows = slice(trainer.rows.start, trainer.rows.stop)
    arrays = (tensor[rows].numpy() for tensor in streamed_tokens(job.global_batch, job.steps, torch.device("cpu")))
    return trainer, Batch(*arrays)


def main() -> None:
    """Be one rank of a job, and print what it measured if it is the main one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", help="the fields of a Job, as JSON")
    job = Job(**json.loads(parser.parse_args().job))
    measured = measure_as_rank(job)
    if os.environ["RANK"] == "0":
        print(json.dumps(asdict(measured)), flush=True)


if __name__ == "__main__":
    main()
