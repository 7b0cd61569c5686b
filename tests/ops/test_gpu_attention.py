"""Triton's causal mean against the reference in float64: in the interpreter, or on a GPU where there is one."""

import pytest
import torch
from form_laws import (
    GPU,
    NEEDS_GPU,
    SCORES,
    Inputs,
    assert_near,
    attention_inputs,
    drifting_inputs,
    exactly,
    moved,
    results_and_gradients,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pianogen.ops.causal_attention import fused, gpu, reference

# the interpreter computes with NumPy, which warns of infinities that the kernels leave to a `where`
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
LONG = 500 if GPU.type == "cuda" else 60


def assert_near_the_reference(inputs: Inputs) -> None:
    got = results_and_gradients(gpu.causal_mean, moved(inputs, GPU))
    assert_near(got, results_and_gradients(reference.causal_mean, exactly(inputs)), 3e-6)


@settings(max_examples=8)
@given(
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 40)),
    seed=st.integers(0, 1000),
    started=st.booleans(),
)
def test_results_and_gradients_are_those_of_float64(sizes: tuple[int, int, int], seed: int, started: bool):
    assert_near_the_reference(attention_inputs(*sizes, seed=seed, started=started))


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 6, 33), (3, 1, 32), (1, 2, 70)])
def test_one_row_one_step_and_several_blocks_of_channels(sizes: tuple[int, int, int]):
    assert_near_the_reference(attention_inputs(*sizes))


@pytest.mark.parametrize("keep", [torch.zeros, torch.ones], ids=["every step is reset", "no step is reset"])
def test_resets_at_every_step_or_at_none(keep):
    assert_near_the_reference((*attention_inputs(2, 4, 5)[:-1], keep(2, 4).bool()))


@pytest.mark.parametrize("name", SCORES)
def test_contexts_and_gradients_stay_near_float64_wherever_scores_drift(name: str):
    inputs = drifting_inputs(name, LONG)
    got = results_and_gradients(gpu.causal_mean, moved(inputs, GPU))
    expected = results_and_gradients(reference.causal_mean, exactly(inputs))
    assert float((got[0].cpu().double() - expected[0]).abs().max()) < 1.2e-5
    assert_near(got[3:5], expected[3:5], 1e-4)


def test_float64_inputs_are_computed_in_float64():
    inputs = exactly(attention_inputs(2, 4, 5))
    got = results_and_gradients(gpu.causal_mean, moved(inputs, GPU))
    expected = results_and_gradients(reference.causal_mean, inputs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a.cpu(), b)


def test_contexts_are_the_same_without_gradients():
    inputs = moved(attention_inputs(2, 5, 3), GPU)
    with torch.no_grad():
        got = gpu.causal_mean(*inputs)
    assert all(torch.equal(a, b) for a, b in zip(got, gpu.causal_mean(*inputs), strict=True))


def test_two_passes_with_carried_state_equal_one_pass():
    """To the bit in the interpreter; on a GPU, Triton compiles another kernel for another number of steps."""
    scores, values, lse, context, keep = moved(attention_inputs(2, 7, 3), GPU)
    first, lse_then, context_then = gpu.causal_mean(scores[:, :3], values[:, :3], lse, context, keep[:, :3])
    second, *last = gpu.causal_mean(scores[:, 3:], values[:, 3:], lse_then, context_then, keep[:, 3:])
    whole = gpu.causal_mean(scores, values, lse, context, keep)
    rtol, atol = (1e-5, 1e-6) if GPU.type == "cuda" else (0.0, 0.0)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole[0], rtol=rtol, atol=atol)
    torch.testing.assert_close(last, list(whole[1:]))  # log(exp(lse)) is not lse to the bit


def test_a_nan_score_stays_in_its_row_until_the_next_reset():
    scores, values, lse, context, _ = attention_inputs(2, 5, 4)
    keep = torch.ones(2, 5).bool()
    scores.detach()[1, 1, 3], keep[1, 3] = torch.nan, False
    contexts = gpu.causal_mean(*moved((scores, values, lse, context, keep), GPU))[0].detach().clone()
    assert contexts[1, 1:3, 3].isnan().all()
    contexts[1, 1:3, 3] = 0
    assert not contexts.isnan().any()


@NEEDS_GPU
def test_a_batch_of_training_size_equals_the_torch_form_on_the_gpu():
    inputs: tuple[Tensor, ...] = moved(attention_inputs(64, 256, 512), GPU)
    got = results_and_gradients(gpu.causal_mean, inputs)
    expected = results_and_gradients(fused.causal_mean, inputs)
    assert_near(got, tuple(tensor.cpu().double() for tensor in expected), 1e-4)
