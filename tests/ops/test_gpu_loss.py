"""Triton's masked cross-entropy against the reference: in the interpreter, or on a GPU where there is one."""

from functools import partial

import pytest
import torch
from form_laws import GPU, NEEDS_GPU, LossProblem, assert_same_loss, loss_and_gradient_on, loss_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pianogen.ops.masked_cross_entropy import IGNORE, MaskedLoss, gpu, reference
from pianogen.tokens import grammar
from pianogen.tokens.vocab import VOCABULARY_SIZE, ids_of

# the interpreter computes with NumPy, which warns of infinities that the kernel leaves to a `where`
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
random_problem = partial(loss_problem, num_positions=12)


def loss_and_gradient(form, problem: LossProblem, **options: bool) -> tuple[MaskedLoss, Tensor]:
    """The loss of the problem on the CPU by the reference, otherwise where the GPU's form runs."""
    device = problem[0].device if form is reference else GPU
    return loss_and_gradient_on(device, form, problem, **options)


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.0, 1.0, 30.0, 1e4]), reuse=st.booleans())
def test_loss_counts_and_gradient_are_those_of_float64(seed: int, spread: float, reuse: bool):
    problem = random_problem(seed, spread=spread)
    loss, gradient = loss_and_gradient(gpu, problem, reuse=reuse)
    exact, exact_gradient = loss_and_gradient(reference, (problem[0].double(), *problem[1:]))
    assert_same_loss(loss, exact, problem[0])
    torch.testing.assert_close(gradient.cpu().double(), exact_gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mask", ["strict", "paper"])
def test_targets_of_a_piece_are_counted_in_the_groups_of_the_reference(mask):
    words = ["xxbos", "xxpad", "xxsep", "d150", "n72", "d2", "n52", "d16", "xxsep", "d2", "n71", "d2", "xxeos"]
    ids = ids_of(words)
    targets, states = torch.from_numpy(ids).long(), torch.from_numpy(grammar.states_of(ids)).long()
    targets[:2] = IGNORE
    problem = torch.randn(len(ids), VOCABULARY_SIZE), targets, states, torch.from_numpy(grammar.allowed(mask).copy())
    assert_same_loss(loss_and_gradient(gpu, problem)[0], loss_and_gradient(reference, problem)[0], problem[0])


@pytest.mark.parametrize("num_positions", [0, 1])
def test_one_row_and_no_row(num_positions: int):
    problem = random_problem(1, num_positions=num_positions)
    assert_same_loss(loss_and_gradient(gpu, problem)[0], loss_and_gradient(reference, problem)[0], problem[0])


def test_bf16_logits_give_an_fp32_loss_and_a_bf16_gradient():
    logits, targets, states, allowed = random_problem(3)
    loss, gradient = loss_and_gradient(gpu, (logits.bfloat16(), targets, states, allowed))
    exact, exact_gradient = loss_and_gradient(reference, (logits.bfloat16().double(), targets, states, allowed))
    assert loss.loss_sum.dtype == torch.float32
    assert_same_loss(loss, exact, logits)
    torch.testing.assert_close(gradient.cpu().double(), exact_gradient, rtol=0.01, atol=1e-3)


def test_integers_of_16_bits_are_read():
    logits, targets, states, allowed = random_problem(3)
    small = logits, targets.short(), states.short(), allowed
    assert_same_loss(
        loss_and_gradient(gpu, small)[0], loss_and_gradient(gpu, (logits, targets, states, allowed))[0], logits
    )


def test_without_reuse_the_logits_are_kept_and_with_it_they_hold_the_gradient():
    logits, targets, states, allowed = (tensor.to(GPU) for tensor in random_problem(3))
    before = logits.clone()
    gpu.masked_cross_entropy(logits, targets, states, allowed)
    assert torch.equal(logits, before)
    gradient = loss_and_gradient(gpu, (before, targets, states, allowed))[1]
    gpu.masked_cross_entropy(logits, targets, states, allowed, reuse=True)
    torch.testing.assert_close(3 * logits, gradient)


@pytest.mark.parametrize("content", [0.0, 1e30, torch.inf, torch.nan])
def test_ignored_rows_get_no_gradient_whatever_they_hold(content: float):
    logits, targets, states, allowed = random_problem(2)
    targets[5], logits[5], states[5] = IGNORE, content, 10**9
    loss, gradient = loss_and_gradient(gpu, (logits, targets, states, allowed))
    assert loss.loss_sum.isfinite()
    assert not gradient[targets == IGNORE].any()
    assert gradient[targets != IGNORE].any(dim=1).all()


def test_nothing_but_padding_gives_a_zero_loss_and_zero_gradient():
    logits, targets, states, allowed = random_problem(2)
    loss, gradient = loss_and_gradient(gpu, (logits, torch.full_like(targets, IGNORE), states, allowed))
    assert loss.loss_sum == 0
    assert loss.num_targets == 0
    assert not gradient.any()


def test_an_illegal_target_costs_infinitely_much_and_has_no_gradient():
    logits, targets, states, allowed = random_problem(4)
    row = int((targets != IGNORE).nonzero()[0])
    allowed[states[row], targets[row]] = False
    loss, gradient = loss_and_gradient(gpu, (logits, targets, states, allowed))
    assert loss.loss_sum == torch.inf
    assert gradient.isfinite().all()
    assert not gradient[row].any()


def test_a_nan_logit_makes_the_loss_nan():
    logits, targets, states, allowed = random_problem(4)
    row = int((targets != IGNORE).nonzero()[0])
    logits[row, targets[row]] = torch.nan
    assert loss_and_gradient(gpu, (logits, targets, states, allowed))[0].loss_sum.isnan()


def test_of_equal_logits_the_first_allowed_word_is_the_prediction():
    logits, targets, states, allowed = random_problem(5)
    loss = loss_and_gradient(gpu, (torch.zeros_like(logits), targets, states, allowed))[0]
    assert loss.predicted[:, 0].sum() == (targets != IGNORE).sum()


@NEEDS_GPU
def test_a_batch_of_training_size_equals_the_reference_on_the_gpu():
    problem = random_problem(6, num_positions=64 * 256)
    loss, gradient = loss_and_gradient(gpu, problem, reuse=True)
    exact, exact_gradient = loss_and_gradient(reference, (problem[0].double(), *problem[1:]))
    assert_same_loss(loss, exact, problem[0])
    torch.testing.assert_close(gradient.cpu().double(), exact_gradient, rtol=1e-5, atol=1e-6)
