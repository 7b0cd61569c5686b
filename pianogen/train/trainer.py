"""One rank's part of a run: the training step, and what must be saved so that it goes on exactly.

Randomness is a function of (seed, step, rank), so that there is no generator state to keep.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from accelerate import Accelerator

from pianogen.config import TrainConfig
from pianogen.data import Batch, Batches
from pianogen.data.order import key_of
from pianogen.errors import RunError, SettingError
from pianogen.models import State, build_model
from pianogen.ops.masked_cross_entropy import masked_cross_entropy
from pianogen.tokens.grammar import allowed
from pianogen.train.optim import build_optimizer, learning_rate, load_optimizer, optimizer_tensors
from pianogen.train.ranks import gather_rows, sum_over_ranks

MAX_SKIPPED_IN_A_ROW = 10


@dataclass
class Position:
    """How far a run is."""

    step: int = 0
    tokens: int = 0
    """Targets seen."""
    seconds: float = 0.0
    """Spent training, over all lives."""
    skipped: int = 0
    """Steps left out because the gradient was not finite."""
    skipped_in_a_row: int = 0
    best_nll: float | None = None
    """Lowest validation NLL a token, in nats."""
    best_step: int | None = None


class Trainer:
    """The model, its optimizer and the rows of the global batch that this rank reads."""

    def __init__(self, config: TrainConfig, batches: Batches, accelerator: Accelerator) -> None:
        self.config, self.batches, self.accelerator = config, batches, accelerator
        self.rows = rows_of_rank(config.global_batch, accelerator.process_index, accelerator.num_processes)
        self.micro_batch = config.micro_batch or len(self.rows)
        torch.manual_seed(key_of(config.seed, 3))
        self.bare_model = build_model(config.model)
        self.bare_model.precision(config.precision)
        optimizer = build_optimizer(self.bare_model, config.optim)
        self.model, self.optimizer = accelerator.prepare(self.bare_model, optimizer)
        self.allowed = torch.tensor(allowed(config.model.mask)).to(accelerator.device)
        self.position = Position()
        self.lanes = self.zero_lanes()

    def zero_lanes(self) -> State:
        """State of this rank's rows before anything was read."""
        return self.bare_model.initial_state(len(self.rows), self.accelerator.device)

    def step(self, batch: Batch, num_targets: int) -> dict[str, float]:
        """Take one optimizer step; the loss is a sum over the global batch divided by its targets."""
        place = self.position
        torch.manual_seed(key_of(self.config.seed, 4, place.step, self.accelerator.process_index))
        if self.batches.order.begins_afresh(place.step):
            self.lanes = self.zero_lanes()
        lr = self._set_learning_rate()
        totals, carried_on = torch.zeros(2, dtype=torch.float64), []
        for micro_rows, inputs, targets, states in self._micro_batches(batch):
            with self._synchronised_by_the(micro_rows.stop == len(self.rows)):
                logits, carried = self.model(inputs, {name: value[micro_rows] for name, value in self.lanes.items()})
                loss = masked_cross_entropy(logits.flatten(0, 1), targets.flatten(), states.flatten(), self.allowed)
                # DDP averages gradients over ranks: times their number makes it a sum
                self.accelerator.backward(loss.loss_sum * (self.accelerator.num_processes / max(1, num_targets)))
            carried_on.append(carried)
            totals += torch.stack([loss.loss_sum.detach().double().cpu(), loss.correct.sum().double().cpu()])
        norm = float(torch.nn.utils.clip_grad_norm_(self.bare_model.parameters(), self.config.optim.clip_norm))
        if self._update(norm):
            self.lanes = {name: torch.cat([part[name].detach() for part in carried_on]) for name in self.lanes}
        place.step, place.tokens = place.step + 1, place.tokens + num_targets
        loss_sum, correct = (sum_over_ranks(totals.to(self.accelerator.device)) / max(1, num_targets)).tolist()
        return {"train/loss": loss_sum, "train/accuracy": correct, "train/lr": lr, "train/grad_norm": norm}

    def _set_learning_rate(self) -> float:
        lr = learning_rate(self.config.optim, self.position.tokens)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def _update(self, norm: float) -> bool:
        """Step, unless the gradient is not finite: it is the same on all ranks, so all of them skip alike."""
        finite = math.isfinite(norm)
        if finite:
            self.optimizer.step()
            self.position.skipped_in_a_row = 0
        else:
            self.position.skipped += 1
            self.position.skipped_in_a_row += 1
        self.optimizer.zero_grad()
        if self.position.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise RunError(
                f"the gradient was not finite {MAX_SKIPPED_IN_A_ROW} steps in a row, up to step {self.position.step};"
                f" lower optim.lr ({self.config.optim.lr}) or use --precision fp32, and resume from the last checkpoint"
            )
        return finite

    def _micro_batches(self, batch: Batch) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor, torch.Tensor]]:
        device = self.accelerator.device
        arrays = [torch.from_numpy(array).to(device) for array in (batch.inputs, batch.targets, batch.states)]
        for start in range(0, len(self.rows), self.micro_batch):
            part = slice(start, min(start + self.micro_batch, len(self.rows)))
            inputs, targets, states = (array[part] for array in arrays)
            yield part, inputs, targets, states

    def _synchronised_by_the(self, last: bool) -> AbstractContextManager[Any]:
        """Ranks add their gradients up once a step, after the last micro-batch."""
        return nullcontext() if last else self.accelerator.no_sync(self.model)

    def snapshot(self) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, Any]]:
        """Everything needed to go on, the same for any number of ranks. Every rank must call it."""
        lanes = {name: gather_rows(value).cpu() for name, value in self.lanes.items()}
        model = {name: value.detach().cpu() for name, value in self.bare_model.state_dict().items()}
        optimizer = optimizer_tensors(self.bare_model, _bare(self.optimizer))
        return {"model": model, "optimizer": optimizer, "lanes": lanes}, asdict(self.position)

    def restore(self, tensors: dict[str, dict[str, torch.Tensor]], position: dict[str, Any]) -> None:
        """Go on from what `snapshot` returned."""
        self.bare_model.load_state_dict(tensors["model"])
        load_optimizer(self.bare_model, _bare(self.optimizer), tensors["optimizer"])
        mine = slice(self.rows.start, self.rows.stop)
        self.lanes = {name: value[mine].to(self.accelerator.device) for name, value in tensors["lanes"].items()}
        self.position = replace(Position(), **position)


def _bare(optimizer: Any) -> torch.optim.Optimizer:
    return getattr(optimizer, "optimizer", optimizer)


def rows_of_rank(global_batch: int, rank: int, num_ranks: int) -> range:
    """Rows of the global batch that a rank reads.

    Raises:
        SettingError: The ranks cannot share the global batch evenly.
    """
    if global_batch % num_ranks:
        raise SettingError(
            f"setting 'global_batch' is {global_batch}, but it must be a multiple of the {num_ranks} ranks "
            "so that each reads as many rows"
        )
    share = global_batch // num_ranks
    return range(rank * share, (rank + 1) * share)
