"""One rank's part of a run: the training step, and the state that an exact resume needs.

Randomness is a function of (seed, step, rank), so that no generator state is saved.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator

from pianogen.config import TrainConfig
from pianogen.data import Batch, Batches
from pianogen.distributed.process_group import gather_rows, sum_over_ranks
from pianogen.errors import RunError, SettingError
from pianogen.models import PianoModel, build_model
from pianogen.ops.masked_cross_entropy import masked_cross_entropy
from pianogen.randomness import RandomStream, stream_key
from pianogen.runs import Run
from pianogen.tokens.grammar import allowed
from pianogen.train.average import WeightAverage
from pianogen.train.optim import learning_rate
from pianogen.train.replicas import DataParallel, Replicas
from pianogen.train.skip_gram import load_vectors
from pianogen.train.state import Position, TrainingState
from pianogen.train.zero import Zero

MAX_SKIPPED_IN_A_ROW = 10


class Trainer:
    """The model, its optimizer and the rows of the global batch that this rank reads."""

    def __init__(
        self,
        config: TrainConfig,
        batches: Batches,
        accelerator: Accelerator,
        restored: TrainingState | None = None,
        weights: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Start at the first step, from `weights` or random ones, or at the restored state."""
        self.config, self.batches, self.accelerator = config, batches, accelerator
        self.rows = rows_of_rank(config.global_batch, accelerator.process_index, accelerator.num_processes)
        self.micro_batch = config.micro_batch or len(self.rows)
        torch.manual_seed(stream_key(config.seed, RandomStream.WEIGHTS))
        model = build_model(config.model).with_bf16(config.precision == "bf16")
        self._initial_state = model.initial_state
        if restored:
            weights = restored.unaveraged or restored.model
        if weights:  # before ZeRO 3 partitions them over the ranks
            model.load_state_dict(weights)
        elif config.model.embedding == "skip_gram":
            load_vectors(model, Run(Path(config.out), config))
        replicas = Zero if config.deepspeed else DataParallel
        self.replicas: Replicas = replicas(model, config.optim, accelerator)
        self.allowed = torch.tensor(allowed(config.model.mask)).to(accelerator.device)
        self.position = replace(restored.position) if restored else Position()
        self._state = self._initial_state(len(self.rows), accelerator.device)
        self._average: WeightAverage | None = None
        if config.optim.ema is not None:
            self._average = WeightAverage(config.optim.ema, self.replicas.current_weights())
        if restored:
            self.replicas.load_optimizer_state(restored.optimizer)
            if self._average:
                self._average.load(restored.model)
            mine = slice(self.rows.start, self.rows.stop)
            self._state = {name: value[mine].to(accelerator.device) for name, value in restored.state.items()}

    def step(self, batch: Batch, num_targets: int) -> dict[str, float]:
        """Take one optimizer step; the loss is a sum over the global batch divided by its targets."""
        position, num_ranks = self.position, self.accelerator.num_processes
        key = stream_key(self.config.seed, RandomStream.DROPOUT, position.step, self.accelerator.process_index)
        _seed(self.accelerator.device, key)
        if self.batches.order.begins_afresh(position.step):
            self._state = self._initial_state(len(self.rows), self.accelerator.device)
        totals, carried_states = torch.zeros(2, dtype=torch.float64, device=self.accelerator.device), []
        for rows, inputs, targets, states in self._micro_batches(batch):
            with self.replicas.micro_batch(last=rows.stop == len(self.rows)):
                logits, carried = self.replicas.model(
                    inputs, {name: value[rows] for name, value in self._state.items()}
                )
                loss = masked_cross_entropy(
                    logits.flatten(0, 1), targets.flatten(), states.flatten(), self.allowed, reuse=True
                )
                # gradients are averaged over ranks: times their number makes them a sum
                self.replicas.backward(loss.loss_sum * (num_ranks / max(1, num_targets)))
            carried_states.append(carried)
            totals += torch.stack([loss.loss_sum.detach().double(), loss.correct.sum().double()])
        lr = learning_rate(self.config.optim, position.tokens)
        norm = self.replicas.update(lr)
        if self._count_skipped(norm):
            self._state = {name: _whole([part[name].detach() for part in carried_states]) for name in self._state}
            if self._average:
                self._average.update(self.replicas.current_weights(), position.step)
        position.step, position.tokens = position.step + 1, position.tokens + num_targets
        loss_mean, accuracy = (sum_over_ranks(totals) / max(1, num_targets)).tolist()
        return {"train/loss": loss_mean, "train/accuracy": accuracy, "train/lr": lr, "train/grad_norm": norm}

    def _count_skipped(self, norm: float) -> bool:
        """Count a step whose gradient is not finite, and return whether the gradient is finite."""
        position, finite = self.position, math.isfinite(norm)
        position.skipped += not finite
        position.skipped_in_a_row = 0 if finite else position.skipped_in_a_row + 1
        if position.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise RunError(
                f"the gradient was not finite {MAX_SKIPPED_IN_A_ROW} steps in a row, up to step {position.step};"
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

    def evaluation_model(self) -> PianoModel:
        """The model to evaluate: with optim.ema it has the averaged weights. Every rank must call it."""
        if self._average is None:
            return self.replicas.whole_model()
        model = build_model(self.config.model).with_bf16(self.config.precision == "bf16")
        model.load_state_dict(self._average.weights)
        return model.to(self.accelerator.device)

    def state(self) -> TrainingState:
        """Everything that a resume needs. Every rank must call it."""
        weights = self.replicas.weights()
        average = {name: value.cpu() for name, value in self._average.weights.items()} if self._average else None
        return TrainingState(
            model=average or weights,
            optimizer=self.replicas.optimizer_state(),
            state={name: gather_rows(value).cpu() for name, value in self._state.items()},
            position=self.position,
            unaveraged=weights if average else None,
        )


def _seed(device: torch.device, key: int) -> None:
    """As torch.manual_seed, which also formats a stack trace for each backend that is absent."""
    torch.default_generator.manual_seed(key)
    if device.type == "cuda":
        torch.cuda.manual_seed(key)


def _whole(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)  # torch.cat copies a single part too


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
