"""What the tests of every form of an operation share: results and gradients, beside the same numbers in float64."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor

from pianogen.ops.masked_cross_entropy import IGNORE, MaskedLoss
from pianogen.tokens.vocab import VOCABULARY_SIZE

GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # on a CPU Triton interprets its kernels
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: PyTorch sees no CUDA device")
Inputs = tuple[Tensor, ...]
SCORES: dict[str, Callable[[int, int], Tensor]] = {
    "spread 1": lambda time, channels: torch.randn(time, channels),
    "spread 5": lambda time, channels: 5 * torch.randn(time, channels),
    "spread 30": lambda time, channels: 30 * torch.randn(time, channels),
    "drift to 200": lambda time, channels: torch.linspace(0, 200, time)[:, None] + torch.randn(time, channels),
    "drift to -200": lambda time, channels: torch.linspace(0, -200, time)[:, None] + torch.randn(time, channels),
}
"""Scores of attention, by time and channel."""
LossProblem = tuple[Tensor, Tensor, Tensor, Tensor]
"""Logits, targets, states and the mask."""


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
        error, bound = float((a.cpu().double() - b).norm()), relative * float(b.norm()) + 1e-6
        assert error <= bound, f"tensor {index}: {error:.2e} from that in float64, whose norm is {float(b.norm()):.2e}"


def attention_inputs(batch: int, time: int, hidden: int, seed: int = 0, started: bool = True) -> Inputs:
    """Scores, values, a past (or none) and a keep mask with resets here and there, in float32."""
    torch.manual_seed(seed)
    scores, values = (torch.randn(batch, time, hidden).requires_grad_() for _ in range(2))
    lse, context = (torch.randn(batch, hidden) for _ in range(2))
    if not started:
        lse, context = torch.full_like(lse, -torch.inf), torch.zeros_like(context)
    return scores, values, lse.requires_grad_(), context.requires_grad_(), torch.rand(batch, time) > 0.2


def drifting_inputs(name: str, time: int) -> Inputs:
    """One row of three channels with these SCORES, an empty past and no resets, in float32."""
    torch.manual_seed(0)
    scores, values = SCORES[name](time, 3)[None], torch.tanh(torch.randn(1, time, 3))
    none = torch.zeros(1, 3)
    return moved((scores, values, none - torch.inf, none, torch.ones(1, time).bool()), torch.device("cpu"))


def loss_problem(seed: int, num_positions: int, num_words: int = VOCABULARY_SIZE, spread: float = 1.0) -> LossProblem:
    """Logits in float32, targets of which some are ignored, states and a random mask."""
    torch.manual_seed(seed)
    allowed = torch.rand(5, num_words) < 0.3
    allowed[:, 0] = True
    states = torch.randint(0, 5, (num_positions,))
    targets = torch.multinomial(allowed[states].float(), 1).squeeze(1)
    targets[torch.rand(num_positions) < 0.2] = IGNORE
    return spread * torch.randn(num_positions, num_words), targets, states, allowed


def loss_and_gradient_on(
    device: torch.device, form: Any, problem: LossProblem, **options: bool
) -> tuple[MaskedLoss, Tensor]:
    """The loss, and the gradient of three times it by the logits."""
    logits = problem[0].detach().clone().to(device).requires_grad_()
    loss = form.masked_cross_entropy(logits * 1, *(tensor.to(device) for tensor in problem[1:]), **options)
    (3 * loss.loss_sum).backward()
    assert logits.grad is not None
    return loss, logits.grad


def assert_same_loss(got: MaskedLoss, expected: MaskedLoss, logits: Tensor) -> None:
    """Equal counts, and sums within the rounding of float32.

    A likelihood near 1 is a difference of two numbers as large as the logits, and is as exact as they are.
    """
    largest = float(logits.detach().abs().max()) if logits.numel() else 0.0
    for field in fields(MaskedLoss):
        a, b = getattr(got, field.name).cpu(), getattr(expected, field.name).cpu()
        if a.is_floating_point():
            torch.testing.assert_close(a.double(), b.double(), rtol=3e-6, atol=1e-6 + largest * 2**-23, msg=field.name)
        else:
            assert torch.equal(a, b), field.name
