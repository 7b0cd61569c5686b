"""Score a model on whole performances: every target exactly once, the whole past carried, no window edge.

Performances are concatenated in the rows of one batch; the model resets a row's state at each xxbos. Shapes: B rows,
T window.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor

from pianogen.config import Mask
from pianogen.distributed.process_group import sum_over_ranks
from pianogen.evaluation.counts import FIRST_TARGET, Counts
from pianogen.models import PianoModel
from pianogen.ops.masked_cross_entropy import IGNORE, MaskedLoss, masked_cross_entropy
from pianogen.progress import Progress
from pianogen.tokens.grammar import allowed, states_of
from pianogen.tokens.vocab import PAD

_MIN_ROWS = 8  # a group of fewer rows spends its time on reading the weights
_WINDOWS = {"cpu": 32, "cuda": 256}  # on a CPU what a window leaves behind should stay in the cache


def score(
    model: PianoModel,
    performances: Sequence[Int[np.ndarray, " T"]],
    mask: Mask,
    *,
    rows: int = 64,
    window: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Counts:
    """Predict every target of every performance, in evaluation mode; `rows` and `window` change the speed only.

    `progress` is called with the number of targets of each window. A performance may be truncated: it then has no xxeos
    to predict.
    """
    device = next(model.parameters()).device
    filled, threads = _rows_of(performances, rows), torch.get_num_threads() if device.type == "cpu" else 1
    num_groups = max(1, min(threads, len(filled) // _MIN_ROWS))
    groups = [_Group(model, mask, filled[index::num_groups]) for index in range(num_groups)]
    window = window or _WINDOWS.get(device.type, 256)
    with model.in_evaluation_mode(), _side_by_side(num_groups, threads // num_groups) as map_groups:
        for start in range(0, len(filled[0]) if filled else 0, window):
            num_targets = sum(map_groups(lambda group, start=start: group.read(start, window), groups))
            if progress is not None:
                progress(num_targets)
    return sum((Counts.from_vector(group.total.cpu().numpy()) for group in groups), start=Counts.zero())


class _Group:
    """Rows that are read together, the state after what was read, and its counts so far."""

    def __init__(self, model: PianoModel, mask: Mask, rows: list["Row"]) -> None:
        self._model, self._rows, self._state = model, rows, None
        self._device = next(model.parameters()).device
        self._legal = torch.tensor(allowed(mask), device=self._device)
        self.total = torch.from_numpy(Counts.zero().to_vector()).to(self._device)

    @torch.inference_mode()
    def read(self, start: int, window: int) -> int:
        """Score the targets of the inputs `start` to `start + window` of every row; returns how many there are."""
        self._rows = [row for row in self._rows if len(row) > start]
        if not self._rows:
            return 0
        batch = window_of(self._rows, start, window)
        inputs, targets, states = (torch.from_numpy(array).to(self._device) for array in batch)
        state = self._state
        state = None if state is None else {name: value[: len(inputs)] for name, value in state.items()}
        logits, self._state = self._model(inputs, state)
        loss = masked_cross_entropy(logits.flatten(0, 1), targets.flatten(), states.flatten(), self._legal, reuse=True)
        self.total += _vector(loss)
        return int((batch[1] != IGNORE).sum())


@contextmanager
def _side_by_side(num_groups: int, threads: int) -> Iterator[Callable[..., Iterable[int]]]:
    """A `map` over groups of rows in threads of their own, each computing on `threads` cores.

    They wait for each other once a window; the threads within an operation do so at every step of a recurrence.
    """
    if num_groups == 1:
        yield map
        return
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(num_groups, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(before)  # it is also the number that later threads start with


def score_over_ranks(
    model: PianoModel,
    performances: Sequence[Int[np.ndarray, " T"]],
    mask: Mask,
    *,
    rows: int,
    progress_title: str | None = None,
) -> Counts:
    """Score a share of the performances on each rank, and sum over all ranks.

    Every rank must call it with the same weights and performances, and gets the same counts. With a title, rank 0 shows
    its progress.
    """
    rank, num_ranks = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    share = [performances[index] for index in divide([len(ids) for ids in performances], num_ranks)[rank]]
    shown = progress_title is not None and rank == 0
    with Progress(progress_title or "", total=sum(map(len, share)), unit="tokens", shown=shown) as bar:
        counts = score(model, share, mask, rows=rows, progress=bar.advance)
    vector = torch.from_numpy(counts.to_vector()).to(next(model.parameters()).device)
    return Counts.from_vector(sum_over_ranks(vector).cpu().numpy())


def divide(lengths: Sequence[int] | Int[np.ndarray, " P"], parts: int) -> list[list[int]]:
    """Distribute performances over rows or ranks, the longest first, each to the part with the fewest tokens so far.

    Deterministic, so that each rank finds its own share: `divide(lengths, num_ranks)[rank]`.
    """
    shares: list[list[int]] = [[] for _ in range(parts)]
    loads = [(0, part) for part in range(parts)]
    for index in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        load, part = loads[0]
        shares[part].append(index)
        heapq.heapreplace(loads, (load + int(lengths[index]), part))
    return shares


@dataclass(frozen=True, eq=False)
class Row:
    """Performances concatenated as inputs, and for each input its target and the grammar state of the target."""

    inputs: Int[np.ndarray, " T"]
    targets: Int[np.ndarray, " T"]
    states: Int[np.ndarray, " T"]

    @classmethod
    def of(cls, performances: Sequence[Int[np.ndarray, " T"]]) -> "Row":
        targets = [np.array(ids[1:], dtype=np.int16) for ids in performances]
        for ids in targets:
            ids[: FIRST_TARGET - 1] = IGNORE
        return cls(
            inputs=np.concatenate([ids[:-1] for ids in performances]),
            targets=np.concatenate(targets),
            states=np.concatenate([states_of(ids)[1:] for ids in performances]),
        )

    def __len__(self) -> int:
        return len(self.inputs)


_Arrays = tuple[Int[np.ndarray, "B T"], Int[np.ndarray, "B T"], Int[np.ndarray, "B T"]]


def _rows_of(performances: Sequence[Int[np.ndarray, " T"]], num_rows: int) -> list[Row]:
    """Rows in descending order of length, so that unfinished rows are always the first."""
    shares = divide([len(ids) for ids in performances], num_rows)
    filled = [Row.of([performances[index] for index in share]) for share in shares if share]
    return sorted(filled, key=len, reverse=True)


def window_of(rows: Sequence[Row], start: int, window: int) -> _Arrays:
    """Inputs, targets and states of one window of rows that all reach it, the longest first."""
    shape = len(rows), min(window, len(rows[0]) - start)
    inputs, targets, states = np.full(shape, PAD), np.full(shape, IGNORE), np.zeros(shape, np.int64)
    for index, row in enumerate(rows):
        part = slice(start, start + shape[1])
        filled = len(row.inputs[part])
        inputs[index, :filled], targets[index, :filled] = row.inputs[part], row.targets[part]
        states[index, :filled] = row.states[part]
    return inputs, targets, states


def _vector(loss: MaskedLoss) -> Float[Tensor, " numbers"]:
    """The sums in the order of `Counts.to_vector`."""
    parts = (loss.true_positive, loss.predicted, loss.support, loss.nll_sum)
    return torch.cat([part.flatten().double() for part in parts])
