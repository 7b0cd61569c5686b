"""A kernel that writes one number: it shows whether Triton can compile and run kernels on this machine."""

import torch
import triton
import triton.language as tl


def run() -> None:
    """Run it on the GPU, or on the CPU if there is none; raises whatever hinders Triton."""
    one = torch.zeros(1, device="cuda" if torch.cuda.is_available() else "cpu")
    _write_one[(1,)](one)
    if one.item() != 1.0:
        raise RuntimeError("a kernel of one number gave another")


@triton.jit
def _write_one(number):
    tl.store(number, 1.0)
