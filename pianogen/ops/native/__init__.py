"""The compiled operations for CPUs: C sources, their build, and how torch's tensors are passed to them."""

from pianogen.ops.native.build import kernels
from pianogen.ops.native.calls import Kernel
from pianogen.ops.native.packing import pack_weight

__all__ = ["Kernel", "kernels", "pack_weight"]
