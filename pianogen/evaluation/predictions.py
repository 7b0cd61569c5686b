"""Every prediction of a model by itself, where `score` keeps sums: for sums by performance, and for other cuts.

Shapes: B rows, T window, N targets, V words.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pianogen.config import Mask
from pianogen.evaluation.counts import END, Counts, groups_of
from pianogen.evaluation.score import Row, window_of
from pianogen.metrics import Averages, PerformanceSums, averages
from pianogen.models import PianoModel
from pianogen.ops.masked_cross_entropy import IGNORE
from pianogen.tokens.grammar import allowed
from pianogen.tokens.vocab import PAD, VOCABULARY_SIZE

_WINDOW = 64


@dataclass(frozen=True, eq=False)
class Predictions:
    """All targets of some performances, in any order, and what a model predicted."""

    performance: Int[np.ndarray, " N"]
    """Index of the performance of each target."""
    targets: Int[np.ndarray, " N"]
    words: Int[np.ndarray, " N"]
    """The most likely allowed word."""
    groups: Int[np.ndarray, " N"]
    nll_nats: Float[np.ndarray, " N"]
    rank: Int[np.ndarray, " N"]
    """How many words, the target among them, are at least as likely as the target: 1 if it is the most likely."""
    position: Int[np.ndarray, " N"]
    """Index of each target in its performance."""
    num_performances: int
    padding: int
    """Positions after the ends of performances that an excerpt of fixed length leaves empty."""

    def counts(self) -> Counts:
        """The sums that `score` returns."""
        return Counts.of(self.targets, self.words, self.groups, self.nll_nats)

    def of_performance(self, index: int) -> "Predictions":
        """Those of one performance, in their order."""
        chosen = np.flatnonzero(self.performance == index)
        chosen = chosen[np.argsort(self.position[chosen])]
        return Predictions(
            performance=np.zeros(len(chosen), np.int64),
            targets=self.targets[chosen],
            words=self.words[chosen],
            groups=self.groups[chosen],
            nll_nats=self.nll_nats[chosen],
            rank=self.rank[chosen],
            position=self.position[chosen],
            num_performances=1,
            padding=0,
        )

    def by_performance(self) -> PerformanceSums:
        """The sums over each performance."""
        counted = self.groups != END
        hit = counted & (self.targets == self.words)
        return PerformanceSums(
            true_positive=self._histogram(hit, self.targets),
            predicted=self._histogram(counted, self.words),
            support=self._histogram(counted, self.targets),
            nll_nats=np.bincount(self.performance, self.nll_nats, self.num_performances),
            targets=np.bincount(self.performance, minlength=self.num_performances),
        )

    def averages_with_padding(self, padding: int) -> Averages:
        """The averages when so many positions of padding are a class, and the end too.

        The grammar never permits padding, so that no model can predict it: it counts as predicted wherever it is.
        """
        true_positive, predicted, support = (
            np.bincount(words, minlength=VOCABULARY_SIZE)
            for words in (self.targets[self.targets == self.words], self.words, self.targets)
        )
        for counts in (true_positive, predicted, support):
            counts[PAD] += padding
        return averages(true_positive, predicted, support)

    def _histogram(self, chosen: Bool[np.ndarray, " N"], words: Int[np.ndarray, " N"]) -> Int[np.ndarray, "P V"]:
        cells = self.performance[chosen] * VOCABULARY_SIZE + words[chosen]
        return np.bincount(cells, minlength=self.num_performances * VOCABULARY_SIZE).reshape(-1, VOCABULARY_SIZE)


def padding_of_batches(lengths: Sequence[int], batch: int) -> int:
    """Positions that are left empty when whole performances are padded to the longest one of their batch."""
    batches = [lengths[start : start + batch] for start in range(0, len(lengths), batch)]
    return sum(max(one) * len(one) - sum(one) for one in batches)


@dataclass(frozen=True, eq=False)
class _Piece(Row):
    """What one row reads: a performance or an excerpt of it, with the grammar states of the whole performance."""

    performance: int
    start: int
    """Index of the first input in its performance."""


@torch.inference_mode()
def predict(
    model: PianoModel,
    performances: Sequence[Int[np.ndarray, " T"]],
    mask: Mask,
    *,
    excerpt_tokens: int | None = None,
    rows: int = 64,
    progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Predict every target of every performance, in evaluation mode.

    Args:
        excerpt_tokens: Cut performances into excerpts of this length, each read from an empty state, and count how many
            positions the last ones leave empty; by default the whole past is carried.
        progress: Called with the number of tokens of each window.
    """
    device = next(model.parameters()).device
    legal = torch.tensor(allowed(mask), device=device)
    pieces = sorted(_pieces(performances, excerpt_tokens), key=len, reverse=True)
    found: list[tuple[np.ndarray, ...]] = []
    with model.in_evaluation_mode():
        for start in range(0, len(pieces), rows):
            for arrays in _predict_rows(model, pieces[start : start + rows], legal):
                found.append(arrays)
                if progress is not None:
                    progress(len(arrays[0]))
    performance, targets, previous, *columns = (np.concatenate(column) for column in zip(*found, strict=True))
    words, nll, rank, position = columns
    lengths = np.array([len(ids) - 1 for ids in performances])
    padding = 0 if excerpt_tokens is None else int((-lengths % excerpt_tokens).sum())
    groups = groups_of(targets, previous)
    return Predictions(performance, targets, words, groups, nll, rank, position, len(performances), padding)


def _pieces(performances: Sequence[Int[np.ndarray, " T"]], excerpt_tokens: int | None) -> Iterator[_Piece]:
    for index, ids in enumerate(performances):
        whole = Row.of([ids])
        length = excerpt_tokens or len(whole)
        for start in range(0, len(whole), length):
            part = slice(start, start + length)
            yield _Piece(whole.inputs[part], whole.targets[part], whole.states[part], index, start)


def _predict_rows(
    model: PianoModel, pieces: Sequence[_Piece], legal: Bool[Tensor, "S V"]
) -> Iterator[tuple[np.ndarray, ...]]:
    """Performance, target, word before it, prediction, NLL, rank and position, of one window after another."""
    device, state = legal.device, None
    for start in range(0, len(pieces[0]), _WINDOW):
        running = [piece for piece in pieces if len(piece) > start]
        inputs, targets, states = window_of(running, start, _WINDOW)
        state = None if state is None else {name: value[: len(running)] for name, value in state.items()}
        logits, state = model(torch.from_numpy(inputs).to(device), state)
        row, column = np.nonzero(targets != IGNORE)
        at = torch.from_numpy(row * inputs.shape[1] + column).to(device)
        wanted = torch.from_numpy(targets[row, column]).to(device)
        admitted = legal[torch.from_numpy(states[row, column]).to(device)]
        scores = [values.cpu().numpy() for values in _per_target(logits.flatten(0, 1)[at], wanted, admitted)]
        index, first = np.array([(piece.performance, piece.start) for piece in running])[row].T
        yield index, targets[row, column], inputs[row, column], *scores, first + start + column + 1


def _per_target(
    logits: Float[Tensor, "N V"], targets: Int[Tensor, " N"], admitted: Bool[Tensor, "N V"]
) -> tuple[Int[Tensor, " N"], Float[Tensor, " N"], Int[Tensor, " N"]]:
    """The most likely allowed words, and the targets' negative log-likelihoods and ranks among the allowed words."""
    logits = logits.float().masked_fill_(~admitted, -torch.inf)
    wanted = logits.gather(1, targets[:, None])
    nll = logits.logsumexp(dim=1) - wanted.squeeze(1)
    return logits.argmax(dim=1), nll.double(), (logits >= wanted).sum(dim=1)
