"""RNN and LSTM as plain loops; gate order i, f, g, o as in torch.nn.LSTM.

The inputs are W_ih x + b. Shapes: B batch, T time, H hidden, G = 4H gates.
`bf16` computes the matrix products in bfloat16; state and activations keep their dtype.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def product(hidden: Float[Tensor, "B H"], weight: Float[Tensor, "G H"], bf16: bool = False) -> Float[Tensor, "B G"]:
    """Multiply by the transposed weight, returning the dtype of `hidden`."""
    if bf16:
        return (hidden.bfloat16() @ weight.bfloat16().t()).to(hidden.dtype)
    return hidden @ weight.t()


def rnn_cell(
    inputs: Float[Tensor, "B H"], weight_hh: Float[Tensor, "H H"], h: Float[Tensor, "B H"], *, bf16: bool = False
) -> Float[Tensor, "B H"]:
    """Take one step of a tanh RNN."""
    return torch.tanh(inputs + product(h, weight_hh, bf16))


def lstm_cell(
    gates: Float[Tensor, "B G"],
    weight_hh: Float[Tensor, "G H"],
    h: Float[Tensor, "B H"],
    c: Float[Tensor, "B H"],
    *,
    bf16: bool = False,
) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """Take one step of an LSTM; returns (h, c)."""
    i, f, g, o = (gates + product(h, weight_hh, bf16)).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def rnn(
    inputs: Float[Tensor, "B T H"],
    weight_hh: Float[Tensor, "H H"],
    h0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    *,
    bf16: bool = False,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"]]:
    """Run a tanh RNN; where `keep` is false, a row's state is zeroed before the step. Returns (hidden, h_last)."""
    h, hidden = h0, []
    for t in range(inputs.shape[1]):
        h = h.masked_fill(~keep[:, t, None], 0)
        h = rnn_cell(inputs[:, t], weight_hh, h, bf16=bf16)
        hidden.append(h)
    return torch.stack(hidden, dim=1), h


def lstm(
    gates: Float[Tensor, "B T G"],
    weight_hh: Float[Tensor, "G H"],
    h0: Float[Tensor, "B H"],
    c0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
    *,
    bf16: bool = False,
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """Run an LSTM; where `keep` is false, a row's state is zeroed before the step. Returns (hidden, h_last, c_last)."""
    h, c, hidden = h0, c0, []
    for t in range(gates.shape[1]):
        reset = ~keep[:, t, None]
        h, c = lstm_cell(gates[:, t], weight_hh, h.masked_fill(reset, 0), c.masked_fill(reset, 0), bf16=bf16)
        hidden.append(h)
    return torch.stack(hidden, dim=1), h, c
