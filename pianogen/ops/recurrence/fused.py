"""RNN and LSTM as one autograd node each: a forward loop, a backward loop, and one GEMM for the weight gradient.

Internally, time is the outer axis, so that a step is contiguous; inputs and outputs are batch first, as views without
copies. The weight keeps torch's layout (G, H): on CPU, multiplying a thin matrix by its transposed view is twice as
fast as by a transposed copy. The weight is saved in the dtype of the products (bfloat16 with `bf16`); activations and
state keep the dtype of the inputs.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from pianogen.ops.resets import resets, states, zeroed

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # (gradient, output, grad_input=where to write)
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def rnn(
    inputs: Float[Tensor, "B T H"],
    weight_hh: Float[Tensor, "H H"],
    h0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    *,
    bf16: bool = False,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"]]:
    """Run a tanh RNN; where `keep` is false, a row's state is zeroed before the step. Returns (hidden, h_last)."""
    return _Rnn.apply(inputs, weight_hh, h0, keep, bf16)  # type: ignore[return-value]


def lstm(
    gates: Float[Tensor, "B T G"],
    weight_hh: Float[Tensor, "G H"],
    h0: Float[Tensor, "B H"],
    c0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    *,
    bf16: bool = False,
    reuse: bool = False,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """Run an LSTM; where `keep` is false, a row's state is zeroed before the step. Returns (hidden, h_last, c_last).

    `reuse` overwrites `gates` with their activations and, in the backward pass, with their gradients: one large buffer
    instead of three. `gates` must not be read afterwards, and a second backward pass is an error.
    """
    return _Lstm.apply(gates, weight_hh, h0, c0, keep, bf16, reuse)  # type: ignore[return-value]


class _Rnn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight_hh: Tensor, h0: Tensor, keep: Tensor, bf16: bool):
        inputs, weight = inputs.transpose(0, 1), weight_hh.bfloat16() if bf16 else weight_hh
        hidden = states(h0, len(inputs))
        for t, reset in enumerate(resets(keep)):
            _add_product(inputs[t], zeroed(hidden[t], reset), weight, out=hidden[t + 1]).tanh_()
        ctx.save_for_backward(hidden, weight, keep)
        return hidden[1:].transpose(0, 1), hidden[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden, weight, keep = ctx.saved_tensors
        d_hidden, dh = gradients[0].transpose(0, 1), gradients[1].clone()
        d_inputs = torch.empty_like(hidden[1:])
        for t, reset in reversed(list(enumerate(resets(keep)))):
            _tanh_backward(dh.add_(d_hidden[t]), hidden[t + 1], grad_input=d_inputs[t])
            dh = zeroed(_times(d_inputs[t], weight), reset)
        return d_inputs.transpose(0, 1), _weight_gradient(d_inputs, hidden, weight, keep), dh, None, None


class _Lstm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, weight_hh: Tensor, h0: Tensor, c0: Tensor, keep: Tensor, bf16: bool, reuse: bool
    ):
        gates, weight = gates.detach().transpose(0, 1), weight_hh.bfloat16() if bf16 else weight_hh
        active = gates if reuse else gates.new_empty(gates.shape)
        hidden, cell = states(h0, len(gates)), states(c0, len(gates))
        tanh_cell = torch.empty_like(cell[1:])
        for t, reset in enumerate(resets(keep)):
            _add_product(gates[t], zeroed(hidden[t], reset), weight, out=active[t])
            _activate(active[t], zeroed(cell[t], reset), cell[t + 1], tanh_cell[t], hidden[t + 1])
        ctx.save_for_backward(hidden, cell, active, tanh_cell, weight, keep)
        ctx.reuse = reuse
        return hidden[1:].transpose(0, 1), hidden[-1].clone(), cell[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden, cell, active, tanh_cell, weight, keep = ctx.saved_tensors
        d_hidden, dh, dc = gradients[0].transpose(0, 1), gradients[1].clone(), gradients[2].clone()
        d_gates, scratch = active if ctx.reuse else torch.empty_like(active), torch.empty_like(active[0])
        for t, reset in reversed(list(enumerate(resets(keep)))):
            dh.add_(d_hidden[t])
            _differentiate(dh, dc, active[t], zeroed(cell[t], reset), tanh_cell[t], scratch, out=d_gates[t])
            dh, dc = zeroed(_times(d_gates[t], weight), reset), zeroed(dc, reset)
        return (d_gates.transpose(0, 1), _weight_gradient(d_gates, hidden, weight, keep), dh, dc, None, None, None)


def _activate(active: Tensor, c: Tensor, new_c: Tensor, tanh_c: Tensor, new_h: Tensor) -> None:
    """Apply the activations to gate sums (B, 4H) in place, and write the new state."""
    i, f, g, o = active.chunk(4, dim=1)
    active[:, : 2 * c.shape[1]].sigmoid_()
    g.tanh_()
    o.sigmoid_()
    torch.mul(f, c, out=new_c).addcmul_(i, g)
    torch.tanh(new_c, out=tanh_c)
    torch.mul(o, tanh_c, out=new_h)


def _differentiate(
    dh: Tensor, dc: Tensor, active: Tensor, c: Tensor, tanh_c: Tensor, scratch: Tensor, out: Tensor
) -> None:
    """Write the gradient of the gate sums, and propagate `dc` one step back in place; `c` is the state before the step.

    `out` may be `active`: no part of it is read after it is written.
    """
    i, f, g, o = active.chunk(4, dim=1)
    di, df, dg, do = scratch.chunk(4, dim=1)
    torch.mul(dh, o, out=do)
    dc.add_(_tanh_backward(do, tanh_c, grad_input=do))
    torch.mul(dc, g, out=di)
    torch.mul(dc, c, out=df)
    torch.mul(dc, i, out=dg)
    torch.mul(dh, tanh_c, out=do)
    dc.mul_(f)
    half, three = 2 * c.shape[1], 3 * c.shape[1]
    _sigmoid_backward(scratch[:, :half], active[:, :half], grad_input=out[:, :half])
    _tanh_backward(dg, g, grad_input=out[:, half:three])
    _sigmoid_backward(do, o, grad_input=out[:, three:])


def _add_product(inputs: Tensor, hidden: Tensor, weight: Tensor, out: Tensor) -> Tensor:
    if weight.dtype == hidden.dtype:
        return torch.addmm(inputs, hidden, weight.t(), out=out)
    return torch.add(inputs, hidden.to(weight.dtype) @ weight.t(), out=out)


def _times(gradient: Tensor, weight: Tensor) -> Tensor:
    return (gradient.to(weight.dtype) @ weight).to(gradient.dtype)


def _weight_gradient(d_gates: Tensor, hidden: Tensor, weight: Tensor, keep: Tensor) -> Tensor:
    """The weight gradient (G, H), summed over all steps and rows in one product."""
    before = hidden[:-1]
    if not keep.all():
        before = before.masked_fill(~keep.t().unsqueeze(-1), 0)
    d_gates, before = d_gates.flatten(0, 1).to(weight.dtype), before.flatten(0, 1).to(weight.dtype)
    return (d_gates.t() @ before).to(hidden.dtype)
