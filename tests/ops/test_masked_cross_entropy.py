"""Masked cross-entropy: against a loop over positions, against scikit-learn, and on ignored and illegal targets."""

from dataclasses import fields

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor

from pianogen.ops.masked_cross_entropy import GROUPS, IGNORE, MaskedLoss, masked_cross_entropy
from pianogen.tokens import grammar
from pianogen.tokens.vocab import VOCABULARY_SIZE, ids_of

ALLOWED = torch.from_numpy(grammar.allowed("strict").copy())
WORDS = ["xxbos", "xxpad", "xxsep", "d150", "n72", "d2", "n52", "d16", "xxsep", "d2", "n71", "d2", "xxeos"]


def music() -> tuple[Tensor, Tensor, Tensor]:
    """Random logits for a short piece, its targets (the first two are ignored) and their states."""
    torch.manual_seed(0)
    ids = ids_of(WORDS)
    targets = torch.from_numpy(ids).long()
    targets[:2] = IGNORE
    return torch.randn(len(ids), VOCABULARY_SIZE), targets, torch.from_numpy(grammar.states_of(ids)).long()


def random_problem(seed: int, num_positions: int = 40) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits in float64, legal or ignored targets, states and a random mask, over all 312 words."""
    torch.manual_seed(seed)
    allowed = torch.rand(5, VOCABULARY_SIZE) < 0.3
    states = torch.randint(0, 5, (num_positions,))
    targets = torch.multinomial(allowed[states].float(), 1).squeeze(1)
    targets[torch.rand(num_positions) < 0.2] = IGNORE
    return torch.randn(num_positions, VOCABULARY_SIZE, dtype=torch.float64), targets, states, allowed


def assert_same(got: MaskedLoss, expected: MaskedLoss) -> None:
    for field in fields(MaskedLoss):
        torch.testing.assert_close(getattr(got, field.name), getattr(expected, field.name), msg=field.name)


@given(seed=st.integers(0, 10_000))
def test_loss_equals_cross_entropy_over_the_allowed_words(seed: int):
    logits, targets, states, allowed = random_problem(seed)
    expected = sum(
        F.cross_entropy(row[allowed[state]], allowed[state].cumsum(0)[target] - 1)
        for row, target, state in zip(logits, targets, states, strict=True)
        if target != IGNORE
    )
    torch.testing.assert_close(masked_cross_entropy(logits, targets, states, allowed).loss_sum, expected)


@given(seed=st.integers(0, 10_000), cut=st.integers(0, 40))
def test_sums_over_two_parts_add_up_to_the_whole(seed: int, cut: int):
    logits, targets, states, allowed = random_problem(seed)
    first = masked_cross_entropy(logits[:cut], targets[:cut], states[:cut], allowed)
    second = masked_cross_entropy(logits[cut:], targets[cut:], states[cut:], allowed)
    both = {field.name: getattr(first, field.name) + getattr(second, field.name) for field in fields(MaskedLoss)}
    assert_same(MaskedLoss(**both), masked_cross_entropy(logits, targets, states, allowed))


@given(seed=st.integers(0, 10_000))
def test_counts_give_the_precision_and_recall_of_scikit_learn(seed: int):
    logits, targets, states, allowed = random_problem(seed)
    loss = masked_cross_entropy(logits, targets, states, allowed)
    hits, predicted, support = (counts.sum(0).numpy() for counts in (loss.true_positive, loss.predicted, loss.support))
    rows = targets != IGNORE
    predictions = logits.masked_fill(~allowed[states], -torch.inf).argmax(1)
    expected = precision_recall_fscore_support(
        targets[rows],
        predictions[rows],
        labels=np.arange(VOCABULARY_SIZE),
        zero_division=0,  # pyright: ignore[reportArgumentType]
    )
    np.testing.assert_allclose(hits / np.maximum(predicted, 1), expected[0])
    np.testing.assert_allclose(hits / np.maximum(support, 1), expected[1])


def test_gradient_agrees_with_finite_differences():
    torch.manual_seed(0)
    logits = torch.randn(4, VOCABULARY_SIZE, dtype=torch.float64, requires_grad=True)
    targets, states = torch.tensor([139, IGNORE, 81, 2]), torch.tensor([3, 3, 4, 120])
    assert torch.autograd.gradcheck(
        lambda x: masked_cross_entropy(x, targets, states, ALLOWED).loss_sum, logits, fast_mode=True
    )


def test_illegal_words_have_probability_zero_exactly():
    logits, targets, states = music()
    logits.requires_grad_()
    masked_cross_entropy(logits, targets, states, ALLOWED).loss_sum.backward()
    assert logits.grad is not None
    chosen = F.one_hot(targets.clamp(min=0), VOCABULARY_SIZE) * (targets != IGNORE)[:, None]
    probabilities = logits.grad + chosen
    assert not probabilities[~ALLOWED[states]].any()
    torch.testing.assert_close(probabilities[2:].sum(1), torch.ones(len(targets) - 2))


@pytest.mark.parametrize("content", [0.0, 1e30, torch.inf, torch.nan])
def test_masked_positions_get_no_gradient_for_any_content(content: float):
    logits, targets, states = music()
    targets[5] = IGNORE
    logits[5] = content
    logits.requires_grad_()
    loss = masked_cross_entropy(logits, targets, states, ALLOWED).loss_sum
    loss.backward()
    assert logits.grad is not None
    assert loss.isfinite()
    assert not logits.grad[targets == IGNORE].any()
    assert logits.grad[targets != IGNORE].any(dim=1).all()


def test_padding_changes_nothing():
    logits, targets, states = music()
    padded = masked_cross_entropy(
        torch.cat((logits, torch.randn(3, VOCABULARY_SIZE))),
        torch.cat((targets, torch.full((3,), IGNORE))),
        torch.cat((states, torch.tensor([0, 10**6, -(10**6)]))),  # never read
        ALLOWED,
    )
    assert_same(padded, masked_cross_entropy(logits, targets, states, ALLOWED))


def test_padding_only_gives_zero_loss_and_zero_gradient():
    logits, targets, states = music()
    logits.requires_grad_()
    loss = masked_cross_entropy(logits, torch.full_like(targets, IGNORE), states, ALLOWED)
    loss.loss_sum.backward()
    assert loss.loss_sum == 0
    assert loss.num_targets == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("state", [grammar.WAIT, grammar.END])
def test_an_illegal_target_has_infinite_loss(state: int):
    logits, targets, states = music()
    states[4] = state
    assert masked_cross_entropy(logits, targets, states, ALLOWED).loss_sum == torch.inf


@pytest.mark.parametrize("mask", ["strict", "paper"])
def test_every_target_is_counted_in_its_group(mask: str):
    logits, targets, states = music()
    allowed = torch.from_numpy(grammar.allowed(mask).copy())  # pyright: ignore[reportArgumentType]
    loss = masked_cross_entropy(logits, targets, states, allowed)
    # words: xxsep d150 | n72 d2 n52 d16 | xxsep d2 | n71 d2 | xxeos
    assert dict(zip(GROUPS, loss.support.sum(1).tolist(), strict=True)) == {
        "note": 3,
        "wait": 4,
        "duration": 3,
        "end": 1,
    }


def test_groups_add_up_to_the_loss_and_the_correct_count():
    logits, targets, states = music()
    loss = masked_cross_entropy(logits, targets, states, ALLOWED)
    torch.testing.assert_close(loss.nll_sum.sum().float(), loss.loss_sum)
    assert torch.equal(loss.correct, loss.true_positive.sum(1))
    assert torch.equal(loss.predicted.sum(1), loss.support.sum(1))
    assert loss.num_targets == len(WORDS) - 2


def test_predictions_are_allowed_words_even_when_an_illegal_one_scores_highest():
    logits, targets, states = music()
    logits[:, 4] = 100.0  # xxmask, which is never legal
    assert masked_cross_entropy(logits, targets, states, ALLOWED).predicted[:, 4].sum() == 0


def test_bf16_logits_give_an_fp32_loss():
    logits, targets, states = music()
    assert masked_cross_entropy(logits.bfloat16(), targets, states, ALLOWED).loss_sum.dtype == torch.float32
