"""The compiled causal mean against the reference in float64, wherever the scores drift."""

import pytest
import torch
from form_laws import SCORES, assert_near, attention_inputs, drifting_inputs, exactly, results_and_gradients
from hypothesis import given
from hypothesis import strategies as st

from pianogen.ops.causal_attention import native, reference

pytestmark = pytest.mark.usefixtures("compiled_kernels")
LONG = 2048


@given(
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 40)),
    seed=st.integers(0, 1000),
    started=st.booleans(),
)
def test_results_and_gradients_are_those_of_float64(sizes: tuple[int, int, int], seed: int, started: bool):
    inputs = attention_inputs(*sizes, seed=seed, started=started)
    got = results_and_gradients(native.causal_mean, inputs)
    assert_near(got, results_and_gradients(reference.causal_mean, exactly(inputs)), 3e-6)


@pytest.mark.parametrize("name", SCORES)
def test_contexts_and_gradients_stay_near_float64_wherever_scores_drift(name: str):
    inputs = drifting_inputs(name, LONG)
    got = results_and_gradients(native.causal_mean, inputs)
    expected = results_and_gradients(reference.causal_mean, exactly(inputs))
    assert float((got[0].double() - expected[0]).abs().max()) < 1.2e-5
    assert_near(got[3:5], expected[3:5], 1e-4)


def test_a_width_beyond_one_block_of_channels_is_handled():
    inputs = attention_inputs(2, 3, 1100)
    got = results_and_gradients(native.causal_mean, inputs)
    assert_near(got, results_and_gradients(reference.causal_mean, exactly(inputs)), 3e-6)


def test_the_number_of_threads_changes_no_bit():
    inputs = attention_inputs(5, 7, 90)
    alone = results_and_gradients(native.causal_mean, inputs)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        together = results_and_gradients(native.causal_mean, inputs)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_nan_score_stays_nan():
    scores, values, *rest = attention_inputs(2, 4, 20)
    scores.detach()[1, 2, 3] = torch.nan
    contexts = native.causal_mean(scores, values, *rest)[0]
    assert contexts[1, 2, 3].isnan()
    assert not contexts[0].isnan().any()
