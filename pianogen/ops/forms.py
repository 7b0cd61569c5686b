"""Which form of an operation runs: compiled on CPUs if it can be, cuDNN and Triton on GPUs, otherwise plain torch."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from pianogen.ops.native import kernels
from pianogen.progress import console

Form = Literal["auto", "reference", "gpu"]

_chosen: Form = "auto"


def choose_form(form: Form) -> None:
    """Let every operation take its fastest form, or the one in plain torch, or on any device the one for GPUs.

    On a CPU the form for GPUs needs TRITON_INTERPRET=1 in the environment before Triton is imported, and is slow.
    """
    global _chosen
    _chosen = form


@contextmanager
def using_form(form: Form) -> Iterator[None]:
    """Choose a form, and restore the previous choice at the end."""
    before = _chosen
    choose_form(form)
    try:
        yield
    finally:
        choose_form(before)


def compiled(x: Tensor, *, bf16: bool = False) -> bool:
    """Whether the compiled form supports this tensor: float32 on a CPU, products in float32 or native bfloat16."""
    if _chosen != "auto" or x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    library = kernels()
    return library is not None and (not bf16 or hasattr(library, "lstm_forward_bf16"))


def for_gpu(x: Tensor) -> bool:
    """Whether the form for GPUs supports this tensor: on a GPU, in float32 or float64."""
    chosen = _chosen == "gpu" or (_chosen == "auto" and x.device.type == "cuda")
    return chosen and x.dtype in (torch.float32, torch.float64)


def for_triton(x: Tensor) -> bool:
    """Whether Triton's kernels support this tensor: where the form for GPUs does and Triton works."""
    return for_gpu(x) and triton_works()


@cache
def triton_works() -> bool:
    """Whether Triton can run a kernel; the first call says why not on the console."""
    try:
        importlib.import_module("pianogen.ops.probe").run()
    except Exception as error:  # it is not installed, finds no C compiler or headers, or does not know the GPU
        reason = str(error).partition("\n")[0]
        console.print(f"[yellow]note:[/] no Triton ({reason}); attention and loss are slower without", soft_wrap=True)
        return False
    return True


def form_in_use(device: torch.device) -> str:
    """The form of float32 operations on a device: `compiled`, `torch` or, on GPUs, of the recurrence and the others."""
    x = torch.empty(0, device=device)
    if for_gpu(x):
        recurrence = "cudnn" if device.type == "cuda" and torch.backends.cudnn.is_available() else "torch"
        return f"{recurrence}+{'triton' if for_triton(x) else 'torch'}"
    return "compiled" if compiled(x) else "torch"


def instructions(device: torch.device) -> str:
    """The GPU's name, or the widest vector instructions of the CPU that torch and the compiled form use."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability() + (" with bf16" if _cpu_has_bf16() else "")


def has_native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and _cpu_has_bf16()


@cache
def _cpu_has_bf16() -> bool:
    file = Path("/proc/cpuinfo")
    return file.exists() and "avx512_bf16" in file.read_text()
