"""The compiled masked cross-entropy against the reference: loss, gradient and every count."""

from functools import partial

import pytest
import torch
from form_laws import assert_same_loss, loss_and_gradient_on, loss_problem
from hypothesis import given
from hypothesis import strategies as st

from pianogen.ops.masked_cross_entropy import IGNORE, native, reference

pytestmark = pytest.mark.usefixtures("compiled_kernels")
random_problem = partial(loss_problem, num_positions=40)
loss_and_gradient = partial(loss_and_gradient_on, torch.device("cpu"))


@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.0, 1.0, 30.0, 1e4]), reuse=st.booleans())
def test_loss_counts_and_gradient_are_those_of_float64(seed: int, spread: float, reuse: bool):
    problem = random_problem(seed, spread=spread)
    loss, gradient = loss_and_gradient(native, problem, reuse=reuse)
    exact, exact_gradient = loss_and_gradient(reference, (problem[0].double(), *problem[1:]))
    assert_same_loss(loss, exact, problem[0])
    torch.testing.assert_close(gradient.double(), exact_gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_positions", [0, 1])
def test_one_row_and_no_row(num_positions: int):
    problem = random_problem(1, num_positions=num_positions)
    assert_same_loss(loss_and_gradient(native, problem)[0], loss_and_gradient(reference, problem)[0], problem[0])


def test_without_reuse_the_logits_are_kept():
    logits, *rest = random_problem(3)
    before = logits.clone()
    native.masked_cross_entropy(logits, *rest)
    assert torch.equal(logits, before)


@pytest.mark.parametrize("content", [0.0, 1e30, torch.inf, torch.nan])
def test_ignored_rows_get_no_gradient_whatever_they_hold(content: float):
    logits, targets, states, allowed = random_problem(2)
    targets[5], logits[5] = IGNORE, content
    loss, gradient = loss_and_gradient(native, (logits, targets, states, allowed))
    assert loss.loss_sum.isfinite()
    assert not gradient[targets == IGNORE].any()
    assert gradient[targets != IGNORE].any(dim=1).all()


def test_nothing_but_padding_gives_a_zero_loss_and_zero_gradient():
    logits, targets, states, allowed = random_problem(2)
    loss, gradient = loss_and_gradient(native, (logits, torch.full_like(targets, IGNORE), states, allowed))
    assert loss.loss_sum == 0
    assert not gradient.any()


def test_states_of_ignored_rows_are_never_read():
    logits, targets, states, allowed = random_problem(2)
    states[targets == IGNORE] = 10**9
    assert native.masked_cross_entropy(logits, targets, states, allowed).loss_sum.isfinite()


def test_an_illegal_target_costs_infinitely_much():
    logits, targets, states, allowed = random_problem(4)
    row = int((targets != IGNORE).nonzero()[0])
    allowed[states[row], targets[row]] = False
    assert loss_and_gradient(native, (logits, targets, states, allowed))[0].loss_sum == torch.inf


def test_a_nan_logit_makes_the_loss_nan():
    logits, targets, states, allowed = random_problem(4)
    row = int((targets != IGNORE).nonzero()[0])
    logits[row, targets[row]] = torch.nan
    assert native.masked_cross_entropy(logits, targets, states, allowed).loss_sum.isnan()


def test_of_equal_logits_the_first_allowed_word_is_the_prediction():
    logits, targets, states, allowed = random_problem(5)
    loss = native.masked_cross_entropy(torch.zeros_like(logits), targets, states, allowed)
    assert loss.predicted[:, 0].sum() == (targets != IGNORE).sum()
