"""The compiled recurrences against the reference in float64, at odd sizes and with resets anywhere."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from form_laws import assert_near, exactly, results_and_gradients
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pianogen.ops.recurrence import native, reference

pytestmark = pytest.mark.usefixtures("compiled_kernels")
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 70))  # batch, time, hidden
KINDS = pytest.mark.parametrize("kind", ["rnn", "lstm"])


def arguments(kind: str, batch: int, time: int, hidden: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Inputs, weight, initial states and a keep mask with resets here and there, in float32."""
    torch.manual_seed(seed)
    gates = hidden * (4 if kind == "lstm" else 1)
    shapes = [(batch, time, gates), (gates, hidden), *[(batch, hidden)] * (2 if kind == "lstm" else 1)]
    inputs, weight, *states = (torch.randn(shape) for shape in shapes)
    tensors = [tensor.requires_grad_() for tensor in (inputs, weight.div(hidden**0.5), *states)]
    return (*tensors, torch.rand(batch, time) > 0.2)


def compiled(kind: str, *, bf16: bool = False) -> Any:
    return lambda *inputs: getattr(native, kind)(*inputs, None, bf16)


@KINDS
@given(sizes=SIZES, seed=st.integers(0, 1000))
def test_results_and_gradients_are_those_of_float64(kind: str, sizes: tuple[int, int, int], seed: int):
    inputs = arguments(kind, *sizes, seed=seed)
    got = results_and_gradients(compiled(kind), inputs)
    assert_near(got, results_and_gradients(getattr(reference, kind), exactly(inputs)), 3e-6)


@KINDS
@pytest.mark.parametrize("keep", [torch.zeros, torch.ones], ids=["every step is reset", "no step is reset"])
def test_resets_at_every_step_or_at_none(kind: str, keep: Any):
    inputs = (*arguments(kind, 3, 5, 33)[:-1], keep(3, 5).bool())
    got = results_and_gradients(compiled(kind), inputs)
    assert_near(got, results_and_gradients(getattr(reference, kind), exactly(inputs)), 3e-6)


@KINDS
def test_gates_of_a_thousand_saturate_without_nan(kind: str):
    inputs, *others = arguments(kind, 3, 5, 33)
    large = ((1000 * inputs.detach()).requires_grad_(), *others)
    got = results_and_gradients(compiled(kind), large)
    assert_near(got, results_and_gradients(getattr(reference, kind), exactly(large)), 3e-6)


@KINDS
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@given(sizes=SIZES, seed=st.integers(0, 1000))
def test_without_gradients_the_results_have_the_same_bits(kind: str, mode: Any, sizes: tuple[int, int, int], seed: int):
    inputs = arguments(kind, *sizes, seed=seed)
    with mode():
        got = compiled(kind)(*inputs)
    assert all(torch.equal(one, other) for one, other in zip(got, compiled(kind)(*inputs), strict=True))


@KINDS
def test_a_nan_input_stays_nan(kind: str):
    inputs, *others = arguments(kind, 2, 3, 20)
    inputs.detach()[1, 1, 4] = torch.nan
    hidden = compiled(kind)(inputs, *others)[0]
    assert hidden[1, 1].isnan().any()
    assert not hidden[0].isnan().any()


@KINDS
@given(sizes=SIZES, seed=st.integers(0, 1000))
def test_rows_of_a_table_equal_the_inputs_looked_up_beforehand(kind: str, sizes: tuple[int, int, int], seed: int):
    inputs, weight, *rest = arguments(kind, *sizes, seed=seed)
    words, table = torch.randint(0, 7, inputs.shape[:2]), torch.randn(7, inputs.shape[2], requires_grad=True)
    got = results_and_gradients(
        lambda table, *others: getattr(native, kind)(table, *others, words, False), (table, weight, *rest)
    )
    expected = results_and_gradients(
        lambda table, *others: getattr(reference, kind)(F.embedding(words, table), *others),
        exactly((table, weight, *rest)),
    )
    assert_near(got, expected, 3e-6)


@KINDS
@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_changes_no_bit(kind: str, threads: int):
    inputs = arguments(kind, 5, 7, 150)
    alone = results_and_gradients(compiled(kind), inputs)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = results_and_gradients(compiled(kind), inputs)
    finally:
        torch.set_num_threads(before)
    for index, (a, b) in enumerate(zip(alone, together, strict=True)):
        if index != len(alone) - (3 if kind == "lstm" else 2):  # the weight's gradient is one product by torch
            assert torch.equal(a, b), index


@KINDS
@given(cut=st.integers(1, 6), seed=st.integers(0, 1000))
def test_a_run_cut_in_two_equals_one_run_to_the_bit(kind: str, cut: int, seed: int):
    inputs, weight, *states, keep = (
        tensor.detach() for tensor in arguments(kind, batch=2, time=7, hidden=20, seed=seed)
    )
    first, *carried = compiled(kind)(inputs[:, :cut], weight, *states, keep[:, :cut])
    second, *last = compiled(kind)(inputs[:, cut:], weight, *carried[: len(states)], keep[:, cut:])
    whole = compiled(kind)(inputs, weight, *states, keep)
    assert torch.equal(torch.cat((first, second), dim=1), whole[0])
    assert torch.equal(last[0], whole[1])


@KINDS
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])  # replaced once for all
@given(sizes=st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 35)), seed=st.integers(0, 1000))
def test_bf16_products_follow_the_bf16_reference(
    kind: str, sizes: tuple[int, int, int], seed: int, emulated_bf16: None
):
    batch, time, half = sizes
    inputs = arguments(kind, batch, time, 2 * half, seed=seed)
    got = results_and_gradients(compiled(kind, bf16=True), inputs)
    expected = results_and_gradients(lambda *given: getattr(reference, kind)(*given, bf16=True), inputs)
    assert_near(got, tuple(tensor.double() for tensor in expected), 0.02)
