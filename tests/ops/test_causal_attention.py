"""The gated running mean against a masked softmax over all pairs of positions, in float64."""

from collections.abc import Callable

import pytest
import torch
from form_laws import SCORES, attention_inputs, exactly, results_and_gradients
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pianogen.ops.causal_attention import fused, reference

BOTH = pytest.mark.parametrize("causal_mean", [reference.causal_mean, fused.causal_mean], ids=["reference", "fused"])
CausalMean = Callable[..., tuple[Tensor, Tensor, Tensor]]

LONG = 4096
BLOCK = 256  # positions of the naive form at a time; all at once take five times as long


def naive(scores: Tensor, values: Tensor) -> Tensor:
    """Softmax over the past, computed separately for every position and channel; (T, H) in float64."""
    blocks = [naive_block(scores, values, begin) for begin in range(0, len(scores), BLOCK)]
    return torch.cat(blocks)


def naive_block(scores: Tensor, values: Tensor, begin: int) -> Tensor:
    """The rows of some positions, which have nothing to do with those after them; (at most BLOCK, H)."""
    end = min(begin + BLOCK, len(scores))
    future = torch.ones(end - begin, end).bool().triu(begin + 1)
    columns = [
        scores[:end, channel].double().expand(end - begin, end).masked_fill(future, -torch.inf).softmax(1)
        @ values[:end, channel].double()
        for channel in range(scores.shape[1])
    ]
    return torch.stack(columns, dim=1)


def from_nothing(scores: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One row with an empty past and without resets."""
    none = torch.zeros(1, scores.shape[1], dtype=scores.dtype)
    return scores[None], values[None], none - torch.inf, none, torch.ones(1, len(scores)).bool()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SCORES)
def test_fp32_contexts_are_within_12e_6_of_float64_for_drifting_scores(name: str, seed: int):
    torch.manual_seed(seed)
    scores, values = SCORES[name](LONG, 2), torch.tanh(torch.randn(LONG, 2))
    got = fused.causal_mean(*from_nothing(scores, values))[0][0]
    assert (got.double() - naive(scores, values)).abs().max() < 1.2e-5


@BOTH
@pytest.mark.parametrize("name", SCORES)
def test_contexts_equal_a_masked_softmax_over_the_past(causal_mean: CausalMean, name: str):
    torch.manual_seed(0)
    scores, values = SCORES[name](LONG, 2)[:600].double(), torch.randn(600, 2).double()
    torch.testing.assert_close(causal_mean(*from_nothing(scores, values))[0][0], naive(scores, values))


@pytest.mark.parametrize("name", SCORES)
def test_fp32_gradients_are_close_to_float64_for_drifting_scores(name: str):
    torch.manual_seed(0)
    exact = [
        SCORES[name](LONG, 2)[:1024].double().requires_grad_(),
        torch.tanh(torch.randn(1024, 2).double()).requires_grad_(),
    ]
    rough = [tensor.detach().float().requires_grad_() for tensor in exact]
    weight = torch.randn(1024, 2)
    (naive(exact[0], exact[1]) * weight).sum().backward()
    (fused.causal_mean(*from_nothing(rough[0], rough[1]))[0][0] * weight).sum().backward()
    for a, b in zip(exact, rough, strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert (b.grad.double() - a.grad).norm() < 1e-4 * a.grad.norm()


def test_fused_gradients_agree_with_finite_differences():
    assert torch.autograd.gradcheck(fused.causal_mean, exactly(attention_inputs(batch=3, time=5, hidden=2)))


@given(
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 9)),
    seed=st.integers(0, 1000),
    started=st.booleans(),
)
def test_fused_equals_reference_forward_and_backward(sizes: tuple[int, int, int], seed: int, started: bool):
    inputs = exactly(attention_inputs(*sizes, seed=seed, started=started))
    got = results_and_gradients(fused.causal_mean, inputs)
    torch.testing.assert_close(got, results_and_gradients(reference.causal_mean, inputs))


@BOTH
@given(cut=st.integers(1, 8), seed=st.integers(0, 1000))
def test_two_passes_with_carried_state_equal_one_pass(causal_mean: CausalMean, cut: int, seed: int):
    scores, values, lse, context, keep = exactly(attention_inputs(2, 9, 3, seed=seed, started=False))
    first, *carried = causal_mean(scores[:, :cut], values[:, :cut], lse, context, keep[:, :cut])
    second, *last = causal_mean(scores[:, cut:], values[:, cut:], *carried, keep[:, cut:])
    expected = causal_mean(scores, values, lse, context, keep)
    torch.testing.assert_close((torch.cat((first, second), dim=1), *last), expected)


@BOTH
def test_the_first_context_is_the_first_value_exactly(causal_mean: CausalMean):
    scores, values = torch.tensor([[300.0], [1.0]]), torch.tensor([[0.1], [0.7]])
    assert causal_mean(*from_nothing(scores, values))[0][0, 0] == values[0]


@BOTH
def test_after_a_reset_the_past_is_forgotten(causal_mean: CausalMean):
    scores, values, lse, context, keep = exactly(attention_inputs(1, 6, 3))
    keep = torch.ones_like(keep)
    keep[0, 4] = False
    got = causal_mean(scores, values, lse, context, keep)[0][0, 4:]
    torch.testing.assert_close(got, naive(scores[0, 4:], values[0, 4:]))


@BOTH
def test_shifting_all_scores_changes_no_context(causal_mean: CausalMean):
    scores, values, lse, context, keep = exactly(attention_inputs(2, 9, 3, started=False))
    shifted = causal_mean(scores + 1.5, values, lse, context, keep)[0]
    torch.testing.assert_close(shifted, causal_mean(scores, values, lse, context, keep)[0])


def test_contexts_are_the_same_without_gradients():
    inputs = exactly(attention_inputs(2, 9, 3))
    with torch.no_grad():
        got = fused.causal_mean(*inputs)
    torch.testing.assert_close(got, tuple(tensor.detach() for tensor in fused.causal_mean(*inputs)))
