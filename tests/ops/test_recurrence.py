"""The fused recurrences against the reference loops, and both against torch.nn."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pianogen.ops.recurrence import fused, reference

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 9))  # batch, time, hidden
KINDS = pytest.mark.parametrize("kind", ["rnn", "lstm"])


def arguments(kind: str, batch: int, time: int, hidden: int, seed: int = 0, **options: Any) -> tuple[Tensor, ...]:
    """Random inputs, weight, initial states and keep mask with some resets."""
    torch.manual_seed(seed)
    gates = hidden * (4 if kind == "lstm" else 1)
    shapes = [(batch, time, gates), (gates, hidden), *[(batch, hidden)] * (2 if kind == "lstm" else 1)]
    tensors = [torch.randn(shape, **{"dtype": torch.float64, **options}).requires_grad_() for shape in shapes]
    return (*tensors, torch.rand(batch, time) > 0.2)


def results_and_gradients(function: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...], **options: Any):
    """All outputs, and the gradients of a fixed random linear combination of them by all inputs."""
    torch.manual_seed(1)
    outputs = function(*inputs, **options)
    mix = torch.stack([(output * torch.randn(output.shape, dtype=output.dtype)).sum() for output in outputs]).sum()
    return (*(output.detach() for output in outputs), *torch.autograd.grad(mix, inputs[:-1]))


@KINDS
def test_fused_gradients_agree_with_finite_differences(kind: str):
    assert torch.autograd.gradcheck(getattr(fused, kind), arguments(kind, batch=3, time=5, hidden=7))


@KINDS
@given(sizes=SIZES, seed=st.integers(0, 1000))
def test_fused_equals_reference_forward_and_backward(kind: str, sizes: tuple[int, int, int], seed: int):
    inputs = arguments(kind, *sizes, seed=seed)
    got = results_and_gradients(getattr(fused, kind), inputs)
    torch.testing.assert_close(got, results_and_gradients(getattr(reference, kind), inputs))


@KINDS
def test_a_time_major_memory_layout_gives_the_same_result(kind: str):
    inputs = arguments(kind, batch=3, time=5, hidden=7)
    view = inputs[0].detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    got = results_and_gradients(getattr(fused, kind), (view, *inputs[1:]))
    torch.testing.assert_close(got, results_and_gradients(getattr(fused, kind), inputs))


@KINDS
def test_fused_equals_torch_nn_on_dense_one_hot_words(kind: str):
    words, num_words, hidden = torch.randint(0, 11, (3, 6)), 11, 5
    module = (nn.LSTM if kind == "lstm" else nn.RNN)(num_words, hidden, batch_first=True).double()
    weight_ih, weight_hh, bias_ih, bias_hh = (parameter.detach() for parameter in module.parameters())
    states = [torch.zeros(3, hidden).double()] * (2 if kind == "lstm" else 1)
    columns = F.embedding(words, weight_ih.t() + bias_ih + bias_hh)
    got = getattr(fused, kind)(columns, weight_hh, *states, torch.ones_like(words).bool())
    torch.testing.assert_close(got[0], module(F.one_hot(words, num_words).double())[0].detach())


@KINDS
def test_weight_gradient_equals_that_of_torch_nn(kind: str):
    x, hidden = torch.randn(3, 6, 4, dtype=torch.float64), 5
    module = (nn.LSTM if kind == "lstm" else nn.RNN)(4, hidden, batch_first=True, dtype=torch.float64)
    weights = list(module.parameters())
    module(x)[0].square().sum().backward()
    weight_hh = weights[1].detach().clone().requires_grad_()
    states = [torch.zeros(3, hidden).double()] * (2 if kind == "lstm" else 1)
    columns = (x @ weights[0].t() + weights[2] + weights[3]).detach()
    getattr(fused, kind)(columns, weight_hh, *states, torch.ones(3, 6).bool())[0].square().sum().backward()
    torch.testing.assert_close(weight_hh.grad, weights[1].grad)


@KINDS
def test_a_reset_in_the_middle_equals_two_separate_runs(kind: str):
    inputs, weight, *states, keep = arguments(kind, batch=2, time=7, hidden=3)
    keep = torch.ones_like(keep)
    keep[:, 4] = False
    run = getattr(fused, kind)
    first = run(inputs[:, :4], weight, *states, keep[:, :4])
    second = run(inputs[:, 4:], weight, *[torch.zeros_like(state) for state in states], torch.ones(2, 3).bool())
    got = run(inputs, weight, *states, keep)
    torch.testing.assert_close(got, (torch.cat((first[0], second[0]), dim=1), *second[1:]))


@KINDS
def test_no_gradient_crosses_a_reset(kind: str):
    inputs, weight, *states, keep = arguments(kind, batch=2, time=7, hidden=3)
    keep = torch.ones_like(keep)
    keep[:, 4] = False
    getattr(fused, kind)(inputs, weight, *states, keep)[0][:, 4:].sum().backward()
    assert inputs.grad is not None
    assert not inputs.grad[:, :4].any()


@KINDS
@given(cut=st.integers(1, 6), seed=st.integers(0, 1000))
def test_two_passes_with_carried_state_equal_one_pass(kind: str, cut: int, seed: int):
    inputs, weight, *states, keep = arguments(kind, batch=2, time=7, hidden=3, seed=seed)
    run = getattr(fused, kind)
    first, *carried = run(inputs[:, :cut], weight, *states, keep[:, :cut])
    second, *last = run(inputs[:, cut:], weight, *carried, keep[:, cut:])
    torch.testing.assert_close((torch.cat((first, second), dim=1), *last), run(inputs, weight, *states, keep))


@KINDS
def test_bf16_products_stay_within_one_percent_of_fp32(kind: str):
    inputs = arguments(kind, batch=8, time=16, hidden=32, dtype=torch.float32)
    inputs = (inputs[0], inputs[1].detach().div(32**0.5).requires_grad_(), *inputs[2:])
    exact = results_and_gradients(getattr(fused, kind), inputs)
    rough = results_and_gradients(getattr(fused, kind), inputs, bf16=True)
    errors = [float((a - b).norm() / a.norm()) for a, b in zip(exact, rough, strict=True)]
    assert 0 < max(errors) < 0.01, errors


@KINDS
def test_bf16_fused_gradients_are_close_to_the_bf16_reference(kind: str):
    inputs = arguments(kind, batch=4, time=6, hidden=16, dtype=torch.float32)
    got = results_and_gradients(getattr(fused, kind), inputs, bf16=True)
    expected = results_and_gradients(getattr(reference, kind), inputs, bf16=True)
    torch.testing.assert_close(got, expected, rtol=0.02, atol=0.05)


def test_reuse_of_the_gates_buffer_changes_no_result_and_no_gradient():
    inputs = arguments("lstm", batch=3, time=5, hidden=7)
    expected = results_and_gradients(fused.lstm, inputs)
    got = results_and_gradients(
        lambda gates, *others, **options: fused.lstm(gates + 0, *others, **options), inputs, reuse=True
    )
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_a_second_backward_pass_over_a_reused_buffer_is_an_error():
    gates, *others = arguments("lstm", batch=3, time=5, hidden=7)
    total = fused.lstm(gates + 0, *others, reuse=True)[0].sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()
