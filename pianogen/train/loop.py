"""The training loop: steps, validation and checkpoints until the budget is spent or a stop is requested."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Literal

import torch

from pianogen import track
from pianogen.config import BudgetConfig, TrainConfig
from pianogen.distributed.preemption import Preemption
from pianogen.distributed.process_group import before_exit, end_ranks, start_ranks, sum_over_ranks
from pianogen.errors import RunError, SettingError
from pianogen.ops.arithmetic import reproducible_on_gpu
from pianogen.progress import Progress, console
from pianogen.runs import Run
from pianogen.train.checkpointing import CheckpointManager
from pianogen.train.journal import Journal
from pianogen.train.opening import open_training
from pianogen.train.state import Best, Position
from pianogen.train.trainer import Trainer
from pianogen.train.validation import Validation
from pianogen.train.zero import make_plugin

Outcome = Literal["finished", "pruned", "stopped"]
"""The budget is spent; `on_validation` asked to stop; a signal asked to stop."""
OnValidation = Callable[[int, dict[str, float]], bool]
"""Gets the step and metrics of each validation, on the main rank, and returns whether to prune the run."""


@reproducible_on_gpu()
def train(
    config: TrainConfig, on_validation: OnValidation | None = None, given: Collection[str] | None = None
) -> Outcome:
    """Train until the budget is spent, `on_validation` prunes the run or a signal comes; resume if the run exists.

    With `config.init`, the settings of the model that `given` does not name (None: that have their defaults) are those
    of the run that it names. Returns the outcome of this attempt; after `stopped` the caller may requeue the job
    (`requeue.exit_unfinished`).

    Raises:
        SettingError: The settings contradict each other, or those that the run was started with.
        RunError: Another process is training in this folder, or its checkpoints are all damaged.
        KeyboardInterrupt: Ctrl-C; a checkpoint was written first.
    """
    require_settings(config, "pianogen train --config FILE --shards DIR --out RUN")
    plugin = make_plugin(config.deepspeed, config.optim.clip_norm) if config.deepspeed else None
    accelerator = start_ranks(plugin, config.rank_timeout_s)
    preemption = Preemption()
    try:
        with ExitStack() as stack:
            run, trainer, checkpoints, shards = open_training(config, accelerator, stack, given)
            journal = stack.enter_context(Journal(run if accelerator.is_main_process else None))
            stack.enter_context(track.mirroring(run.path if accelerator.is_main_process else None))
            validation = Validation(run, trainer, shards)
            checkpoints.reconcile_best(trainer, validation)
            loop = TrainingLoop(trainer, validation, checkpoints, journal, preemption, on_validation)
            before_exit(lambda: journal.fail(trainer.position))
            with journal.attempt(trainer.position, loop.outcome):
                loop.run()
            end_ranks()  # before rank 0 waits for the mirror
        if accelerator.is_main_process:
            console.print(_summary(run, trainer.position, loop.outcome()), soft_wrap=True)
    finally:
        preemption.release()
        end_ranks()
    preemption.raise_if_interrupted()
    return loop.outcome()


def require_settings(config: TrainConfig, usage: str, budget_of: str = "") -> None:
    """Check the settings that have no default; `usage` and `budget_of` are parts of the messages.

    Raises:
        SettingError: The shards, the output folder or the budget is not set.
    """
    for name in ("shards", "out"):
        if not getattr(config, name):
            raise SettingError(f"setting '{name}' is missing; {usage}")
    if not any(asdict(config.budget).values()):
        raise SettingError(f"no budget is set; give {budget_of}--budget.steps, --budget.tokens or --budget.seconds")


class TrainingLoop:
    """One attempt at finishing a run."""

    def __init__(
        self,
        trainer: Trainer,
        validation: Validation,
        checkpoints: CheckpointManager,
        journal: Journal,
        preemption: Preemption,
        on_validation: OnValidation | None,
    ) -> None:
        self.trainer, self.validation, self.checkpoints = trainer, validation, checkpoints
        self.journal, self.preemption, self.on_validation = journal, preemption, on_validation
        self._pruned = False
        self._started = time.monotonic() - trainer.position.seconds

    def run(self) -> None:
        """Train until the budget is spent or a stop is requested, and save."""
        position, config = self.trainer.position, self.trainer.config
        if config.init and position.last_validated_step is None:
            self._validate()  # what the initial weights score, for comparison
        with _bar(config.budget, self.trainer) as bar:
            for batch in self.trainer.batches.iterate(position.step, self.trainer.rows):
                num_targets, stopping = self._agree(batch.num_targets)
                if stopping or spent(config.budget, position):
                    break
                values = self.trainer.step(batch, num_targets)
                self.journal.log(position.step, values, tokens=position.tokens)
                bar.update(
                    _done(config.budget, position), note=f"loss {values['train/loss']:.3f}  {self.journal.speed}"
                )
                self._validate_and_save()
        finished = spent(config.budget, position)
        if finished and position.last_validated_step != position.step:
            self._validate()
            self.checkpoints.save(self.trainer, overwrite=True)
        self.checkpoints.save(self.trainer)
        if finished:
            self.checkpoints.require_any()

    def outcome(self) -> Outcome:
        """How this attempt ended."""
        if spent(self.trainer.config.budget, self.trainer.position):
            return "finished"
        return "pruned" if self._pruned else "stopped"

    def _agree(self, num_targets: int) -> tuple[int, bool]:
        """Sum over the ranks the targets of this step and the requests to stop, and take the main rank's clock."""
        seconds = time.monotonic() - self._started if self.trainer.accelerator.is_main_process else 0.0
        mine = torch.tensor([num_targets, self.preemption.wanted or self._pruned, seconds], dtype=torch.float64)
        totals = sum_over_ranks(mine.to(self.trainer.accelerator.device)).tolist()
        self.trainer.position.seconds = totals[2]
        return int(totals[0]), totals[1] > 0

    def _validate_and_save(self) -> None:
        step, config = self.trainer.position.step, self.trainer.config
        if step % config.validation.every_steps == 0:
            self._validate()
            self.checkpoints.save(self.trainer)
        elif step % config.checkpoint.every_steps == 0:
            self.checkpoints.save(self.trainer)

    def _validate(self) -> None:
        position = self.trainer.position
        values = self.validation.validate()
        position.last_validated_step = position.step
        nll = values.get("validation/nll")
        if nll is None:
            raise RunError(
                f"the validation NLL of step {position.step} is not finite: the run has diverged; lower optim.lr"
            )
        self.checkpoints.record_validation(Best(position.step, nll, self.validation.num_tokens))
        self.journal.log(position.step, values)
        if self.on_validation and self.trainer.accelerator.is_main_process:  # _agree passes it on to the other ranks
            self._pruned = self.on_validation(position.step, values)


def spent(budget: BudgetConfig, position: Position) -> bool:
    """Whether one of the budgets is used up."""
    return (
        (budget.steps is not None and position.step >= budget.steps)
        or (budget.tokens is not None and position.tokens >= budget.tokens)
        or (budget.seconds is not None and position.seconds >= budget.seconds)
    )


class _NoBar:
    """The progress bar of ranks other than the main one."""

    def update(self, completed: float, total: float | None = None, note: str | None = None) -> None:
        """Show nothing."""


@contextmanager
def _bar(budget: BudgetConfig, trainer: Trainer) -> Iterator[Progress | _NoBar]:
    if not trainer.accelerator.is_main_process:
        yield _NoBar()
        return
    unit, total = next((name, limit) for name, limit in asdict(budget).items() if limit is not None)
    with Progress(f"training {trainer.config.model.kind}", total=total, unit=unit) as bar:
        bar.update(_done(budget, trainer.position))
        yield bar


def _done(budget: BudgetConfig, position: Position) -> float:
    """The part of the shown budget that is used up."""
    name = next(name for name, limit in asdict(budget).items() if limit is not None)
    return {"steps": position.step, "tokens": position.tokens, "seconds": round(position.seconds)}[name]


def _summary(run: Run, position: Position, state: str) -> str:
    best = f", best validation NLL {position.best.nll:.3f} at step {position.best.step}" if position.best else ""
    skipped = f", {position.skipped} steps skipped for a gradient that was not finite" if position.skipped else ""
    resume = "; run the same command again to resume" if state == "stopped" else ""
    progress = f"step {position.step}, {position.tokens:,} tokens, {position.seconds:.0f} s"
    return f"{run.path}: {state} after {progress}{best}{skipped}{resume}"
