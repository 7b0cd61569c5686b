"""The arithmetic of GPUs: repeatable bit for bit, and full float32 where it is not bfloat16.

Without these settings cuDNN's recurrences round float32 to TF32 (10 bits of mantissa), and the order of some sums is
not fixed. CPUs need none of them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.utils.deterministic

_memory: Any = torch.utils.deterministic  # its setting is a property of the module, which type checkers do not see
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
# Buffers of one size: where there are two, as by default, cuBLAS inside cuDNN's recurrences takes a smaller one, and
# with it another kernel, when the larger ones are in use. 8 of 4096 KiB are as much as torch's default on Hopper.
_ONE_BUFFER_SIZE = ":4096:8"


@dataclass(frozen=True)
class _Flags:
    """Settings of torch for the whole process."""

    deterministic: bool
    only_warns: bool
    """An operation without a deterministic form causes a warning instead of an error: plugins may have one."""
    fills_memory: bool
    """Deterministic mode fills new memory, at the cost of a kernel each, although nothing here reads it."""
    cudnn_deterministic: bool
    cudnn_tunes: bool
    """Tries algorithms and takes the fastest."""
    cudnn_tf32: bool
    matmul_tf32: bool

    @classmethod
    def now(cls) -> "_Flags":
        return cls(
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            _memory.fill_uninitialized_memory,
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.allow_tf32,
            bool(torch.backends.cuda.matmul.allow_tf32),
        )

    def set(self) -> None:
        torch.use_deterministic_algorithms(self.deterministic, warn_only=self.only_warns)
        _memory.fill_uninitialized_memory = self.fills_memory
        torch.backends.cudnn.deterministic = self.cudnn_deterministic
        torch.backends.cudnn.benchmark = self.cudnn_tunes
        torch.backends.cudnn.allow_tf32 = self.cudnn_tf32
        torch.backends.cuda.matmul.allow_tf32 = self.matmul_tf32


_REPRODUCIBLE = _Flags(
    deterministic=True,
    only_warns=True,
    fills_memory=False,
    cudnn_deterministic=True,
    cudnn_tunes=False,
    cudnn_tf32=False,
    matmul_tf32=False,
)


@contextmanager
def reproducible_on_gpu() -> Iterator[None]:
    """Make the GPU arithmetic within deterministic, and free of TF32; without a GPU, do nothing.

    Enter it before the first operation on the GPU and before the process group: cuBLAS reads its variable once, and
    torch tells NCCL once not to sum inside the switch (NVLS), where the order is not fixed.

    Reference: PyTorch's notes on reproducibility; cuDNN 8 release notes, limitations of RNN; PyTorch pull request
    156381 (NVLS).
    """
    if not torch.cuda.is_available():
        yield
        return
    os.environ.setdefault(_WORKSPACE, _ONE_BUFFER_SIZE)
    before = _Flags.now()
    _REPRODUCIBLE.set()
    try:
        yield
    finally:
        before.set()


def arithmetic(device: torch.device, *, bf16: bool) -> str:
    """What the bits of a result depend on beside the form of the operations, as in `bf16, no TF32, deterministic`."""
    precision = "bf16" if bf16 else "fp32"
    if device.type != "cuda":
        return precision
    flags = _Flags.now()
    has_one_size = os.environ.get(_WORKSPACE, "").count(":") == 2
    repeats = flags.deterministic and flags.cudnn_deterministic and not flags.cudnn_tunes and has_one_size
    tf32 = "TF32" if flags.cudnn_tf32 or flags.matmul_tf32 else "no TF32"
    return f"{precision}, {tf32}, {'deterministic' if repeats else 'not deterministic'}"
