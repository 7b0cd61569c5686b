"""Masked cross-entropy in plain torch. Shapes: N positions, V words, S grammar states, K groups."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pianogen.tokens.vocab import EOS, FIRST_DURATION, FIRST_NOTE, LAST_DURATION, SEP

IGNORE = -100  # a target that is left out of loss, gradient and counts
GROUPS = ("note", "wait", "duration", "end")
NUM_GROUPS = len(GROUPS)
NOTE, WAIT, DURATION, END = range(NUM_GROUPS)


@dataclass(frozen=True)
class MaskedLoss:
    """Sums over the targets, which can be added over batches and ranks; only `loss_sum` has a gradient."""

    loss_sum: Float[Tensor, ""]
    """Negative log-likelihood in nats; infinite if a target is illegal in its state."""
    num_targets: Int[Tensor, ""]
    nll_sum: Float[Tensor, " K"]
    """`loss_sum` by group of the target, in float64."""
    correct: Int[Tensor, " K"]
    """Targets that were predicted correctly, by group."""
    true_positive: Int[Tensor, "K V"]
    predicted: Int[Tensor, "K V"]
    """How often each word was the prediction, by group of the target."""
    support: Int[Tensor, "K V"]
    """How often each word was the target."""


def masked_cross_entropy(
    logits: Float[Tensor, "N V"],
    targets: Int[Tensor, " N"],
    states: Int[Tensor, " N"],
    allowed: Bool[Tensor, "S V"],
) -> MaskedLoss:
    """Cross-entropy of each target over the words that its grammar state allows; `IGNORE` targets are skipped.

    The prediction is the most likely allowed word; of equally likely words, the first.
    """
    rows = (targets != IGNORE).nonzero().squeeze(1)
    targets, states = targets[rows].long(), states[rows].long()
    admitted = allowed[states]
    logits = logits[rows].to(torch.promote_types(logits.dtype, torch.float32)).masked_fill(~admitted, -torch.inf)
    chosen, legal = logits.gather(1, targets[:, None]), admitted.gather(1, targets[:, None])
    nll = (logits.logsumexp(dim=1, keepdim=True) - chosen).masked_fill(~legal, torch.inf).squeeze(1)
    return summed(nll.sum(), nll.detach(), logits.argmax(dim=1), targets, states, allowed)


@torch.no_grad()
def summed(
    loss_sum: Float[Tensor, ""],
    nll: Float[Tensor, " N"],
    prediction: Int[Tensor, " N"],
    targets: Int[Tensor, " N"],
    states: Int[Tensor, " N"],
    allowed: Bool[Tensor, "S V"],
) -> MaskedLoss:
    """Count predictions by word and group; `loss_sum` keeps its gradient, and no target is `IGNORE`."""
    num_words, group = allowed.shape[1], groups_of(targets, states, allowed)
    hit = prediction == targets
    true_positive = _count(group[hit], targets[hit], num_words)
    return MaskedLoss(
        loss_sum=loss_sum,
        num_targets=torch.tensor(len(targets), device=nll.device),
        nll_sum=torch.zeros(NUM_GROUPS, dtype=torch.float64, device=nll.device).index_add_(0, group, nll.double()),
        correct=true_positive.sum(dim=1),
        true_positive=true_positive,
        predicted=_count(group, prediction, num_words),
        support=_count(group, targets, num_words),
    )


def groups_of(targets: Int[Tensor, " N"], states: Int[Tensor, " N"], allowed: Bool[Tensor, "S V"]) -> Int[Tensor, " N"]:
    """The group of each target: note, wait (the separator and its length), duration of a note, or end.

    A length belongs to a wait if the state allows LAST_DURATION, which is too long for a note.
    """
    group = torch.full_like(targets, DURATION)
    group[(targets >= FIRST_NOTE) & (targets < FIRST_DURATION)] = NOTE
    group[(targets == SEP) | (allowed[states, LAST_DURATION] & (targets >= FIRST_DURATION))] = WAIT
    group[targets == EOS] = END
    return group


def _count(group: Tensor, words: Tensor, num_words: int) -> Tensor:
    return torch.bincount(group * num_words + words, minlength=NUM_GROUPS * num_words).view(NUM_GROUPS, num_words)
