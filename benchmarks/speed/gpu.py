"""Timing on a GPU, which runs behind the host: a clock is read only when it has caught up."""

import sys
import time

import torch

from benchmarks.speed.measure import Contender


def gpu() -> torch.device:
    """The GPU; without one, say so and exit with status 2."""
    if not torch.cuda.is_available():
        print("no GPU: torch finds none, so there is nothing to measure; `make bench` measures CPUs", file=sys.stderr)
        raise SystemExit(2)
    return torch.device("cuda")


def seconds_of_rounds(
    contenders: dict[str, Contender], device: torch.device, repeats: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds of one call of each contender in each round, taking turns, after a round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for index in range(rounds + 1):
        for name, run in contenders.items():
            synchronize(device)
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            synchronize(device)
            if index:
                seconds[name].append((time.perf_counter() - start) / repeats)
    return seconds


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_mb(run: Contender, device: torch.device) -> float | None:
    """MB (10^6 bytes) that a call adds at its peak; unknown for a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 1e6
