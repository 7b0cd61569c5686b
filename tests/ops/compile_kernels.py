"""Compile Triton's kernels for an H100, which this machine need not have; run by test_gpu_compilation.py."""

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from pianogen.ops.causal_attention import gpu as attention
from pianogen.ops.masked_cross_entropy import gpu as loss

INTEGERS = {"steps": "i32", "rows": "i32", "channels": "i32", "num_rows": "i32", "num_words": "i32"}
POINTERS = {"keep": "*i1", "allowed": "*i1", "targets": "*i64", "states": "*i64", "counts": "*i64"}
CONSTANTS = {"TRAINS": True, "BLOCK": 32}


def compile_for(kernel) -> int:
    """The size of the machine code in bytes."""
    types = {
        name: "constexpr" if name in CONSTANTS else {**INTEGERS, **POINTERS}.get(name, "*fp32")
        for name in kernel.arg_names
    }
    constants = {(at,): CONSTANTS[name] for at, name in enumerate(kernel.arg_names) if name in CONSTANTS}
    source = ASTSource(kernel, signature=types, constexprs=constants)
    return len(triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 1}).asm["cubin"])


if __name__ == "__main__":
    for kernel in (attention._forward_kernel, attention._backward_kernel, loss._kernel):
        assert compile_for(kernel) > 0
        print(f"{kernel.__module__}.{kernel.__name__}")
