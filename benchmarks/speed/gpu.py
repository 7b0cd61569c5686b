"""Timing on a GPU, which runs behind the host: a clock is read only when it has caught up."""

import sys

import torch

from benchmarks.speed.measure import Contender, seconds_in_turn


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

    def repeated(run: Contender) -> Contender:
        def finish() -> None:
            for _ in range(repeats):
                run()
            synchronize(device)

        return finish

    seconds = seconds_in_turn({name: repeated(run) for name, run in contenders.items()}, rounds)
    return {name: [one / repeats for one in times] for name, times in seconds.items()}


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
