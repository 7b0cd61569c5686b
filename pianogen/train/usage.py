"""Resource usage of a training process, under the names that MLflow shows as system metrics."""

import os
import time
from pathlib import Path

import torch

CPU, MEMORY, GPU = "system/cpu_percent", "system/rss_mb", "system/gpu_percent"
_STATM = Path("/proc/self/statm")


class Usage:
    """Usage since the previous measurement; values that the machine does not provide are left out."""

    def __init__(self) -> None:
        self._before = (time.monotonic(), time.process_time())
        self._has_gpu = torch.cuda.is_available()

    def measure(self) -> dict[str, float]:
        """CPU time in percent of one core, resident memory in 10^6 bytes, and GPU utilization in percent."""
        return {**self._cpu(), **_memory(), **self._gpu()}

    def _cpu(self) -> dict[str, float]:
        before, self._before = self._before, (time.monotonic(), time.process_time())
        wall = self._before[0] - before[0]
        return {CPU: 100 * (self._before[1] - before[1]) / wall} if wall > 0 else {}

    def _gpu(self) -> dict[str, float]:
        if not self._has_gpu:
            return {}
        try:
            return {GPU: float(torch.cuda.utilization())}
        except Exception:  # pynvml is missing or raises its own errors, which must not stop training
            self._has_gpu = False
            return {}


def _memory() -> dict[str, float]:
    if not _STATM.exists():
        return {}
    return {MEMORY: int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6}
