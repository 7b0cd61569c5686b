"""Timing contenders in turn, and the rows of a benchmark's table."""

import ctypes
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pianogen.ops.forms import has_native_bf16
from pianogen.reproduce.machine import processor_name

Contender = Callable[[], object]
_PACKAGES = ("torch", "numpy")
_GEMM_SIZE = 1536


@dataclass(frozen=True)
class Row:
    """One comparison; `ours`, `other` and `limit` are medians in `unit`, where more is better."""

    name: str
    unit: str
    ours: float
    other: float | None
    limit: float | None
    compared_with: str
    """What the ratio compares with: the other one, or the limit."""
    ratio_median: float
    ratio_low: float
    """Lower quartile of the ratios within each round."""
    ratio_high: float
    bound: float | None = None
    """What the ratio should reach."""
    peak_mb: float | None = None
    """Memory that ours adds at its peak, in MB (10^6 bytes)."""
    error: float | None = None
    """Largest difference from the same computation in float64, in the unit that docs/performance.md gives."""

    @property
    def verdict(self) -> str:
        """Whether the bound is reached."""
        if self.bound is None:
            return ""
        return f"{'reaches' if self.ratio_median >= self.bound else 'misses'} {self.bound:g}"


def seconds_in_turn(
    contenders: dict[str, Contender], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each contender in each round, after one round to warm up; a noisy machine disturbs all of a round.

    Args:
        clock: `time.process_time` counts processor time instead, of which a busy machine takes away less.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for index in range(rounds + 1):
        for name, run in contenders.items():
            start = clock()
            run()
            if index:
                seconds[name].append(clock() - start)
    return seconds


def ratios(numerator: Sequence[float], denominator: Sequence[float]) -> tuple[float, float, float]:
    """Median and quartiles of the ratios within the rounds."""
    low, middle, high = statistics.quantiles([a / b for a, b in zip(numerator, denominator, strict=True)], n=4)
    return middle, low, high


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak_memory_mb(run: Contender) -> float:
    """Memory in MB that the second call of `run` adds to the process at its peak, from Linux's resident set size."""
    run()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status_mb("VmRSS")
    run()
    return _status_mb("VmHWM") - before


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024e-6 for line in lines if line.startswith(name))


def relative_error(found: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """Largest difference, each tensor relative to its largest exact value."""
    return max(((a.double() - b).abs().max() / b.abs().max()).item() for a, b in zip(found, exact, strict=True))


def copy(size_mb: int = 64) -> Contender:
    """Copy of a block that no cache holds; moves 2 x `size_mb` MB."""
    source = torch.ones(size_mb * 1_000_000 // 4)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def gemm(dtype: torch.dtype, size: int = _GEMM_SIZE) -> Contender:
    """A large matrix product, 2 size^3 FLOP: what the machine can do at best."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return lambda: a @ b


def gemm_flop(size: int = _GEMM_SIZE) -> float:
    """FLOP of one call of `gemm`."""
    return 2.0 * size**3


def machine() -> dict[str, Any]:
    """The processor, its vector instructions and cores."""
    return {
        "processor": processor_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bf16": has_native_bf16(torch.device("cpu")),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def machine_line() -> str:
    """The machine and torch's version in words."""
    found = machine()
    bf16 = "with" if found["bf16"] else "without"
    parts = [found["gpu"], found["processor"], found["instructions"], f"{bf16} bf16 instructions"]
    parts += [f"{found['cores']} cores", f"torch {torch.__version__}"]
    return ", ".join(part for part in parts if part)


def as_json(name: str, rows: Sequence[Row]) -> str:
    """The benchmark's result with the machine and versions."""
    versions = {"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}}
    content = {"name": name, "rows": [asdict(row) for row in rows], "machine": machine(), "versions": versions}
    return json.dumps(content, indent=1)


def as_markdown(rows: Sequence[Row]) -> str:
    """A table, as in docs/performance.md."""
    head = ["row", "ours", "other", "limit", "unit", "ratio to", "median (quartiles)", "bound", "peak MB", "error"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        speeds = [_number(value) for value in (row.ours, row.other, row.limit)]
        ratio = f"{row.ratio_median:.2f} ({row.ratio_low:.2f} to {row.ratio_high:.2f})"
        extra = [_number(row.peak_mb), "-" if row.error is None else f"{row.error:.1e}"]
        lines.append(f"| {' | '.join([row.name, *speeds, row.unit, row.compared_with, ratio, row.verdict, *extra])} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"
