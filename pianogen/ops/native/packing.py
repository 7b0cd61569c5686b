"""Recurrent weights as the kernels read them: panels of four vectors of columns, each panel whole in memory."""

import ctypes
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

VECTORS = 4  # a panel


def pack_weight(
    library: ctypes.CDLL, weight: Float[Tensor, "G H"], *, transposed: bool, bf16: bool
) -> Float[Tensor, " P"]:
    """The weight for the forward pass, (G, H) times h; or transposed for the backward pass.

    A forward panel of an LSTM holds all four gates of the same units, so that they are activated in cache.
    """
    weight, (num_gates, units) = weight.contiguous(), weight.shape
    if transposed:
        columns, (depth, down, across) = _in_order(units, lanes(library)), (num_gates, units, 1)
    else:
        columns = _by_unit(num_gates // units, units, lanes(library))
        depth, down, across = units, 1, units
    panels = weight.new_empty(columns.numel() * depth, dtype=torch.bfloat16 if bf16 else torch.float32)
    pack = library.pack_bf16 if bf16 else library.pack_fp32
    numbers = (ctypes.c_int(depth), ctypes.c_int(len(columns)))
    strides = (ctypes.c_long(down), ctypes.c_long(across))
    pointers = [ctypes.c_void_p(one.data_ptr()) for one in (weight, columns, panels)]
    pack(*numbers, pointers[0], *strides, *pointers[1:], ctypes.c_int(torch.get_num_threads()))
    return panels


def lanes(library: ctypes.CDLL) -> int:
    """Floats in a vector of this machine."""
    return ctypes.c_int.in_dll(library, "lanes").value


@cache
def _in_order(num_columns: int, num_lanes: int) -> Int[Tensor, "P W"]:
    """Columns side by side, -1 where there is none; one row a panel."""
    width = VECTORS * num_lanes
    columns = torch.arange(-(-num_columns // width) * width, dtype=torch.int32, device="cpu")
    return columns.masked_fill(columns >= num_columns, -1).view(-1, width)


@cache
def _by_unit(gates_per_unit: int, units: int, num_lanes: int) -> Int[Tensor, "P W"]:
    """Rows of the weight by panel; with four gates per unit, panel p holds each gate of the p-th vector of units."""
    if gates_per_unit == 1:
        return _in_order(units, num_lanes)
    unit = torch.arange(-(-units // num_lanes) * num_lanes, dtype=torch.int32, device="cpu").view(-1, 1, num_lanes)
    gate = torch.arange(gates_per_unit, dtype=torch.int32, device="cpu").view(1, -1, 1)
    return torch.where(unit < units, gate * units + unit, -1).flatten(1).contiguous()
