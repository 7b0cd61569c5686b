"""Score a model on whole performances: every target exactly once, the whole past carried, no window edge.

Performances lie end to end on lanes that are read side by side; the model empties a lane's state at each xxbos. Shapes:
B lanes, T window.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pianogen.config import Mask
from pianogen.evaluation.counts import FIRST_TARGET, Counts
from pianogen.models import PianoModel
from pianogen.ops.masked_cross_entropy import IGNORE, MaskedLoss, masked_cross_entropy
from pianogen.tokens.grammar import allowed, states_of
from pianogen.tokens.vocab import PAD


@torch.inference_mode()
def score(
    model: PianoModel,
    performances: Sequence[Int[np.ndarray, " T"]],
    mask: Mask,
    *,
    lanes: int = 64,
    window: int = 256,
    progress: Callable[[int], None] | None = None,
) -> Counts:
    """Predict every target of every performance, in evaluation mode; `lanes` and `window` change the speed only.

    `progress` is told the number of targets of each window. A performance may be cut short: its xxeos is then missed.
    """
    device = next(model.parameters()).device
    legal = torch.tensor(allowed(mask), device=device)
    total, state = torch.from_numpy(Counts.zero().to_vector()).to(device), None
    was_training = model.training
    model.eval()
    try:
        for batch in _windows(_lanes(performances, lanes), window):
            inputs, targets, states = (torch.from_numpy(array).to(device) for array in batch)
            state = None if state is None else {name: value[: len(inputs)] for name, value in state.items()}
            logits, state = model(inputs, state)
            total += _vector(masked_cross_entropy(logits.flatten(0, 1), targets.flatten(), states.flatten(), legal))
            if progress is not None:
                progress(int((batch[1] != IGNORE).sum()))
    finally:
        model.train(was_training)
    return Counts.from_vector(total.cpu().numpy())


def divide(lengths: Sequence[int] | Int[np.ndarray, " P"], parts: int) -> list[list[int]]:
    """Deal performances out to lanes or ranks, the longest first, each to the part that has the fewest tokens so far.

    The same for every caller, so that each rank finds its own share: `divide(lengths, world_size)[rank]`.
    """
    shares: list[list[int]] = [[] for _ in range(parts)]
    loads = [(0, part) for part in range(parts)]
    for index in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        load, part = loads[0]
        shares[part].append(index)
        heapq.heapreplace(loads, (load + int(lengths[index]), part))
    return shares


@dataclass(frozen=True, eq=False)
class _Lane:
    """Performances laid end to end as inputs, and for each input its target and the state the target is chosen in."""

    inputs: Int[np.ndarray, " T"]
    targets: Int[np.ndarray, " T"]
    states: Int[np.ndarray, " T"]

    @classmethod
    def of(cls, performances: Sequence[Int[np.ndarray, " T"]]) -> "_Lane":
        targets = [np.array(ids[1:], dtype=np.int16) for ids in performances]
        for row in targets:
            row[: FIRST_TARGET - 1] = IGNORE
        return cls(
            inputs=np.concatenate([ids[:-1] for ids in performances]),
            targets=np.concatenate(targets),
            states=np.concatenate([states_of(ids)[1:] for ids in performances]),
        )

    def __len__(self) -> int:
        return len(self.inputs)


_Arrays = tuple[Int[np.ndarray, "B T"], Int[np.ndarray, "B T"], Int[np.ndarray, "B T"]]


def _lanes(performances: Sequence[Int[np.ndarray, " T"]], lanes: int) -> list[_Lane]:
    """Lanes in descending order of length, so that those still running are always the first rows."""
    shares = divide([len(ids) for ids in performances], lanes)
    filled = [_Lane.of([performances[index] for index in share]) for share in shares if share]
    return sorted(filled, key=len, reverse=True)


def _windows(lanes: list[_Lane], window: int) -> Iterator[_Arrays]:
    """Inputs, targets and states of one window after another; lanes that have ended are left out."""
    longest = len(lanes[0]) if lanes else 0
    for start in range(0, longest, window):
        running = [lane for lane in lanes if len(lane) > start]
        shape = len(running), min(window, longest - start)
        inputs, targets, states = np.full(shape, PAD), np.full(shape, IGNORE), np.zeros(shape, np.int64)
        for row, lane in enumerate(running):
            part = slice(start, start + shape[1])
            filled = len(lane.inputs[part])
            inputs[row, :filled], targets[row, :filled] = lane.inputs[part], lane.targets[part]
            states[row, :filled] = lane.states[part]
        yield inputs, targets, states


def _vector(loss: MaskedLoss) -> Float[Tensor, " numbers"]:
    """The sums in the order of `Counts.to_vector`."""
    parts = (loss.true_positive, loss.predicted, loss.support, loss.nll_sum)
    return torch.cat([part.flatten().double() for part in parts])
