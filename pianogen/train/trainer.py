"""One rank's part of a run: the training step, and what must be saved so that it goes on exactly.

Randomness is a function of (seed, step, rank), so that there is no generator state to keep.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from accelerate import Accelerator

from pianogen.config import TrainConfig
from pianogen.data import Batch, Batches
from pianogen.distributed.process_group import gather_rows, sum_over_ranks
from pianogen.errors import RunError, SettingError
from pianogen.models import State, build_model
from pianogen.ops.masked_cross_entropy import masked_cross_entropy
from pianogen.randomness import RandomStream, stream_key
from pianogen.tokens.grammar import allowed
from pianogen.train.optim import learning_rate
from pianogen.train.replicas import DataParallel, Replicas
from pianogen.train.zero import Zero

MAX_SKIPPED_IN_A_ROW = 10


@dataclass(frozen=True)
class Best:
    """The weights with the lowest validation NLL that a checkpoint holds."""

    step: int
    nll: float
    """Nats a token."""
    slice_tokens: int
    """Tokens of the validation split that it was measured on."""


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
    looked_at: int | None = None
    """Step of the last validation."""
    best: Best | None = None

    def __post_init__(self) -> None:
        if isinstance(self.best, dict):  # as JSON gives it back
            self.best = Best(**self.best)


class Trainer:
    """The model, its optimizer and the rows of the global batch that this rank reads."""

    def __init__(
        self, config: TrainConfig, batches: Batches, accelerator: Accelerator, saved: "Saved | None" = None
    ) -> None:
        """Begin anew, or where `saved` stood."""
        self.config, self.batches, self.accelerator = config, batches, accelerator
        self.rows = rows_of_rank(config.global_batch, accelerator.process_index, accelerator.num_processes)
        self.micro_batch = config.micro_batch or len(self.rows)
        torch.manual_seed(stream_key(config.seed, RandomStream.WEIGHTS))
        model = build_model(config.model).precision(config.precision)
        self._initial_state = model.initial_state
        if saved:  # before the ranks share the weights out: ZeRO 3 leaves none of them whole
            model.load_state_dict(saved.model)
        replicas = Zero if config.deepspeed else DataParallel
        self.replicas: Replicas = replicas(model, config.optim, accelerator)
        self.allowed = torch.tensor(allowed(config.model.mask)).to(accelerator.device)
        self.position = replace(Position(), **saved.position) if saved else Position()
        self.lanes = self.zero_lanes()
        if saved:
            self.replicas.load_optimizer_state(saved.optimizer)
            mine = slice(self.rows.start, self.rows.stop)
            self.lanes = {name: value[mine].to(accelerator.device) for name, value in saved.lanes.items()}

    def zero_lanes(self) -> State:
        """State of this rank's rows before anything was read."""
        return self._initial_state(len(self.rows), self.accelerator.device)

    def step(self, batch: Batch, num_targets: int) -> dict[str, float]:
        """Take one optimizer step; the loss is a sum over the global batch divided by its targets."""
        place, num_ranks = self.position, self.accelerator.num_processes
        torch.manual_seed(
            stream_key(self.config.seed, RandomStream.DROPOUT, place.step, self.accelerator.process_index)
        )
        if self.batches.order.begins_afresh(place.step):
            self.lanes = self.zero_lanes()
        totals, carried_on = torch.zeros(2, dtype=torch.float64, device=self.accelerator.device), []
        for rows, inputs, targets, states in self._micro_batches(batch):
            with self.replicas.micro_batch(last=rows.stop == len(self.rows)):
                logits, carried = self.replicas.model(inputs, {name: value[rows] for name, value in self.lanes.items()})
                loss = masked_cross_entropy(logits.flatten(0, 1), targets.flatten(), states.flatten(), self.allowed)
                # gradients are averaged over ranks: times their number makes them a sum
                self.replicas.backward(loss.loss_sum * (num_ranks / max(1, num_targets)))
            carried_on.append(carried)
            totals += torch.stack([loss.loss_sum.detach().double(), loss.correct.sum().double()])
        lr = learning_rate(self.config.optim, place.tokens)
        norm = self.replicas.update(lr)
        if self._note_skipped(norm):
            self.lanes = {name: torch.cat([part[name].detach() for part in carried_on]) for name in self.lanes}
        place.step, place.tokens = place.step + 1, place.tokens + num_targets
        loss_mean, accuracy = (sum_over_ranks(totals) / max(1, num_targets)).tolist()
        return {"train/loss": loss_mean, "train/accuracy": accuracy, "train/lr": lr, "train/grad_norm": norm}

    def _note_skipped(self, norm: float) -> bool:
        """Count a step that was left out because its gradient was not finite, and say whether this one was taken."""
        place, finite = self.position, math.isfinite(norm)
        place.skipped += not finite
        place.skipped_in_a_row = 0 if finite else place.skipped_in_a_row + 1
        if place.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise RunError(
                f"the gradient was not finite {MAX_SKIPPED_IN_A_ROW} steps in a row, up to step {place.step};"
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

    def snapshot(self) -> "Saved":
        """Everything needed to go on, the same for any number of ranks. Every rank must call it."""
        return Saved(
            model=self.replicas.weights(),
            optimizer=self.replicas.optimizer_state(),
            lanes={name: gather_rows(value).cpu() for name, value in self.lanes.items()},
            position=asdict(self.position),
        )


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds of a trainer, by name, for any number of ranks and any way of sharing the model."""

    model: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    """Adam's moments as `MOMENT.PARAMETER`."""
    lanes: State
    """State carried along each row of the global batch."""
    position: dict[str, Any]

    @property
    def tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        """The tensors by the file they are kept in."""
        return {"model": self.model, "optimizer": self.optimizer, "lanes": self.lanes}


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
