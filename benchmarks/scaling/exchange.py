"""What the exchange of gradients costs a training step, measured on every rank of one job.

    torchrun --standalone --nproc_per_node=2 -m benchmarks.scaling.exchange RUN [--rounds 5]

`python -m benchmarks.scaling` starts it. RUN is a run folder, whose settings it takes. Each round takes the trainer's
own step twice, once with the gradients exchanged and once with every rank keeping its own (DDP's no_sync), and then
adds up over the ranks, alone, a buffer as large as the gradient and one of three numbers. The main rank prints a line
of JSON: seconds, medians over the rounds.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from accelerate import Accelerator

from pianogen.config import TrainConfig
from pianogen.data import open_shards, training_batches
from pianogen.distributed.process_group import end_ranks, gather_rows, start_ranks, sum_over_ranks
from pianogen.runs import open_run
from pianogen.train.trainer import Trainer


def trainer_of(config: TrainConfig, accelerator: Accelerator) -> Trainer:
    """The trainer that `pianogen train` would make, at its first step."""
    batches = training_batches(
        open_shards(Path(config.shards)).split("train"),
        order=config.data.order,
        excerpt_tokens=config.data.excerpt_tokens,
        global_batch=config.global_batch,
        seed=config.seed,
        transposed=config.data.transpose,
    )
    return Trainer(config, batches, accelerator)


def contenders(trainer: Trainer) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    replicas, device = trainer.replicas, trainer.accelerator.device
    batch, exchanging = trainer.batches.batch(0, trainer.rows), replicas.micro_batch
    num_targets = int(sum_over_ranks(torch.tensor(float(batch.num_targets), device=device)))
    gradient = torch.ones(sum(value.numel() for value in replicas.weights().values()), device=device)
    numbers = torch.ones(3, dtype=torch.float64, device=device)

    def local(*, last: bool) -> AbstractContextManager[Any]:
        return trainer.accelerator.no_sync(replicas.model)

    def step(micro_batch: Callable[..., AbstractContextManager[Any]]) -> None:
        setattr(replicas, "micro_batch", micro_batch)  # noqa: B010 - to the type checker a method is no attribute
        trainer.step(batch, num_targets)

    return {
        "step": lambda: step(exchanging),
        "local": lambda: step(local),
        "gradient": lambda: sum_over_ranks(gradient),
        "numbers": lambda: sum_over_ranks(numbers),
    }


def slowest_s(call: Callable[[], object], device: torch.device) -> float:
    """Seconds that the slowest rank takes, all beginning together."""
    float(sum_over_ranks(torch.zeros((), device=device)))  # synchronizes the ranks
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    taken = torch.tensor([time.perf_counter() - start], dtype=torch.float64, device=device)
    return float(gather_rows(taken).max())


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What was timed, and how much longer a step takes for its exchange."""
    seconds = {f"{name}_s": median(each[name] for each in rounds) for name in ("step", "gradient", "numbers")}
    return {**seconds, "exposed_s": median(each["step"] - each["local"] for each in rounds)}


def main() -> None:
    """Take a round to warm up, then those that count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    accelerator = start_ranks()
    timed = contenders(trainer_of(open_run(args.run).config, accelerator))
    rounds = [
        {name: slowest_s(call, accelerator.device) for name, call in timed.items()} for _ in range(args.rounds + 1)
    ]
    if accelerator.is_main_process:
        print(json.dumps(medians(rounds[1:])), flush=True)
    end_ranks()


if __name__ == "__main__":
    main()
