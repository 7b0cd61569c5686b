"""What the tests of every form of an operation share: results and gradients, beside the same numbers in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # on a CPU Triton interprets its kernels
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: PyTorch sees no CUDA device")
Inputs = tuple[Tensor, ...]


def results_and_gradients(function: Callable[..., Any], inputs: Inputs) -> Inputs:
    """All outputs, and the gradients of a fixed random mix of them by all inputs but the last, the keep mask."""
    torch.manual_seed(1)
    outputs = [output for output in function(*inputs) if output is not None]
    mixes = [(output * torch.randn(output.shape).to(output)).sum() for output in outputs]
    return (*(output.detach() for output in outputs), *torch.autograd.grad(torch.stack(mixes).sum(), inputs[:-1]))


def exactly(inputs: Inputs) -> Inputs:
    """The same numbers in float64."""
    return (*(tensor.detach().double().requires_grad_() for tensor in inputs[:-1]), inputs[-1])


def moved(inputs: Inputs, device: torch.device) -> Inputs:
    """The same numbers on a device, as leaves of a graph."""
    return (*(tensor.detach().to(device).requires_grad_() for tensor in inputs[:-1]), inputs[-1].to(device))


def assert_near(got: Inputs, expected: Inputs, relative: float) -> None:
    """Each tensor is within this share of the norm of the one in float64."""
    for index, (a, b) in enumerate(zip(got, expected, strict=True)):
        assert float((a.cpu().double() - b).norm()) <= relative * float(b.norm()) + 1e-6, index
