"""Which form of an operation runs: the compiled one on CPUs if it can be built, otherwise the one in plain torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from pianogen.ops.native import kernels

Form = Literal["auto", "reference"]

_chosen: Form = "auto"


def choose_form(form: Form) -> None:
    """Let every operation take its fastest form, or the one in plain torch."""
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
    if _chosen == "reference" or x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    library = kernels()
    return library is not None and (not bf16 or hasattr(library, "lstm_forward_bf16"))


def form_in_use(device: torch.device) -> str:
    """`compiled` or `torch`: the form that `compiled` chooses for float32 tensors of a device."""
    return "compiled" if compiled(torch.empty(0, device=device)) else "torch"


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
