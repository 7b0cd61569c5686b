"""RNN and LSTM as one call of a compiled kernel each way; see pianogen/ops/native/recurrence.h.

The sums of the inputs may be rows of a table: then only the table and the words that name its rows are read, and the
gradient of the table is added up as the gates are differentiated.
"""

import ctypes
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from pianogen.ops.native import Kernel, kernels, pack_weight

_SIZES = ("steps", "rows", "units")
_FORWARD = ("gates", "words", "keep", "panels", "h0", "c0", "before", "active", "cell", "hidden")
_BACKWARD = ("d_hidden", "words", "keep", "panels", "c0", "cell", "active", "dh", "dc", "d_gates", "d_table")


def rnn(
    gates: Float[Tensor, "..."],
    weight_hh: Float[Tensor, "H H"],
    h0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    words: Int[Tensor, "B T"] | None,
    bf16: bool,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"]]:
    """As `pianogen.ops.recurrence.rnn`."""
    hidden, h, _ = _Recurrence.apply(gates, weight_hh, h0, None, keep, words, bf16, torch.is_grad_enabled())
    return hidden, h


def lstm(
    gates: Float[Tensor, "..."],
    weight_hh: Float[Tensor, "G H"],
    h0: Float[Tensor, "B H"],
    c0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    words: Int[Tensor, "B T"] | None,
    bf16: bool,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """As `pianogen.ops.recurrence.lstm`."""
    return _Recurrence.apply(gates, weight_hh, h0, c0, keep, words, bf16, torch.is_grad_enabled())  # type: ignore[return-value]


@cache
def _kernel(library: ctypes.CDLL, name: str) -> Kernel:
    return Kernel(library, name, _SIZES, _FORWARD if "forward" in name else _BACKWARD)


def _precision(bf16: bool) -> str:
    return "bf16" if bf16 else "fp32"


class _Recurrence(torch.autograd.Function):
    """Time is the outer axis inside; what goes in and comes out is batch first and may be a view of such a block."""

    @staticmethod
    def forward(
        ctx: Any,
        gates: Tensor,
        weight: Tensor,
        h0: Tensor,
        c0: Tensor | None,
        keep: Tensor,
        words: Tensor | None,
        bf16: bool,
        with_backward: bool,
    ):
        library = kernels()
        assert library is not None
        keep, steps, (rows, units) = keep.t().contiguous(), keep.shape[1], h0.shape
        words = None if words is None else words.t().contiguous().long()
        sums = (gates if words is not None else gates.transpose(0, 1)).contiguous()
        hidden = h0.new_empty(steps, rows, units)
        before = torch.empty_like(hidden, dtype=torch.bfloat16 if bf16 else None)
        cell = None if c0 is None else torch.empty_like(hidden)
        active = h0.new_empty(steps, rows, 4 * units) if with_backward and c0 is not None else None
        h0, c0 = h0.contiguous(), None if c0 is None else c0.contiguous()
        _kernel(library, f"{'rnn' if c0 is None else 'lstm'}_forward_{_precision(bf16)}")(
            **{"steps": steps, "rows": rows, "units": units, "gates": sums, "words": words, "keep": keep},
            **{"panels": pack_weight(library, weight, transposed=False, bf16=bf16), "before": before},
            **{"h0": h0, "c0": c0, "active": active, "cell": cell, "hidden": hidden},
        )
        ctx.save_for_backward(weight, c0, keep, words, before, hidden if active is None else active, cell)
        ctx.bf16, ctx.table_size = bf16, None if words is None else len(gates)
        return hidden.transpose(0, 1), hidden[-1].clone(), None if cell is None else cell[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        weight, c0, keep, words, before, active, cell = ctx.saved_tensors
        library, bf16 = kernels(), ctx.bf16
        assert library is not None
        steps, rows, units = before.shape
        d_hidden, dh, dc = gradients
        assert d_hidden is not None
        assert dh is not None
        d_gates = active.new_empty(steps, rows, weight.shape[0], dtype=before.dtype)
        d_table = None if ctx.table_size is None else weight.new_zeros(ctx.table_size, weight.shape[0])
        dh, dc = dh.clone().contiguous(), None if dc is None else dc.clone().contiguous()
        _kernel(library, f"{'rnn' if c0 is None else 'lstm'}_backward_{_precision(bf16)}")(
            **{"steps": steps, "rows": rows, "units": units, "words": words, "keep": keep},
            **{"d_hidden": d_hidden.transpose(0, 1).contiguous(), "dh": dh, "dc": dc, "c0": c0, "cell": cell},
            **{"panels": pack_weight(library, weight, transposed=True, bf16=bf16), "active": active},
            **{"d_gates": d_gates, "d_table": d_table},
        )
        d_weight = (d_gates.flatten(0, 1).t() @ before.flatten(0, 1)).to(weight.dtype)
        d_input = d_gates.transpose(0, 1).to(weight.dtype) if d_table is None else d_table
        return d_input, d_weight, dh, dc, None, None, None, None
