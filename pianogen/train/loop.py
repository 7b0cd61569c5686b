"""A run from its first step to the end of its budget, through any number of lives."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

import torch

from pianogen import track
from pianogen.config import BudgetConfig, TrainConfig
from pianogen.distributed.preemption import Preemption
from pianogen.distributed.process_group import before_end, end_ranks, start_ranks, sum_over_ranks
from pianogen.errors import RunError, SettingError
from pianogen.progress import Progress, console
from pianogen.runs import Run
from pianogen.train import OnLook, Outcome
from pianogen.train.best import reconcile_best
from pianogen.train.journal import Journal
from pianogen.train.keeping import Keeper
from pianogen.train.opening import open_training
from pianogen.train.trainer import Best, Position, Trainer
from pianogen.train.validation import Validation
from pianogen.train.zero import make_plugin


def train(config: TrainConfig, on_look: OnLook | None = None) -> Outcome:
    """Train until the budget is spent, or `on_look` gives the run up; called again, go on where the last life stopped.

    Returns how this life ended; whoever gets `stopped` decides about another life (`requeue.exit_unfinished`).

    Raises:
        SettingError: The settings contradict each other, or those that the run was begun with.
        RunError: Somebody else is training in this folder, or its checkpoints are all damaged.
        KeyboardInterrupt: Ctrl-C; a checkpoint was written first.
    """
    _require_whole(config)
    plugin = make_plugin(config.deepspeed, config.optim.clip_norm) if config.deepspeed else None
    accelerator = start_ranks(plugin, config.rank_timeout_s)
    preemption = Preemption()
    try:
        with ExitStack() as stack:
            run, trainer, shards = open_training(config, accelerator, stack)
            journal = stack.enter_context(Journal(run if accelerator.is_main_process else None))
            stack.enter_context(track.mirroring(run.path if accelerator.is_main_process else None))
            validation, keeper = Validation(run, trainer, shards), Keeper(run, trainer, shards)
            reconcile_best(run, trainer, validation)
            if accelerator.is_main_process:
                keeper.update_best_and_prune()
            life = Life(trainer, validation, keeper, journal, preemption)
            life.on_look = on_look
            before_end(lambda: journal.fail(trainer.position))
            with journal.life(trainer.position, life.state):
                life.go_on()
        if accelerator.is_main_process:
            console.print(_last_words(run, trainer.position, life.state()), soft_wrap=True)
    finally:
        preemption.release()
        end_ranks()
    preemption.raise_if_interrupted()
    return life.state()


def _require_whole(config: TrainConfig) -> None:
    for name in ("shards", "out"):
        if not getattr(config, name):
            raise SettingError(f"setting '{name}' is missing; pianogen train --config FILE --shards DIR --out RUN")
    if not any(asdict(config.budget).values()):
        raise SettingError("no budget is set; give --budget.steps, --budget.tokens or --budget.seconds")


class Life:
    """One life of a run: steps, looks and saves, until the budget is spent or somebody asks to stop."""

    def __init__(
        self, trainer: Trainer, validation: Validation, keeper: Keeper, journal: Journal, preemption: Preemption
    ) -> None:
        self.trainer, self.validation, self.keeper = trainer, validation, keeper
        self.journal, self.preemption = journal, preemption
        self.on_look: OnLook | None = None
        self._given_up = False
        self._started = time.monotonic() - trainer.position.seconds

    def go_on(self) -> None:
        """Train."""
        place, config = self.trainer.position, self.trainer.config
        with _bar(config.budget, self.trainer) as bar:
            for batch in self.trainer.batches.iterate(place.step, self.trainer.rows):
                num_targets, stopping = self._agree(batch.num_targets)
                if stopping or spent(config.budget, place):
                    break
                values = self.trainer.step(batch, num_targets)
                self.journal.log(place.step, values, tokens=place.tokens)
                bar.update(_done(config.budget, place), note=f"loss {values['train/loss']:.3f}  {self.journal.speed}")
                self._look_and_save()
        finished = spent(config.budget, place)
        if finished and place.looked_at != place.step:
            self._look()
            self.keeper.save(again=True)
        self.keeper.save()
        if finished:
            self.keeper.export()

    def state(self) -> Outcome:
        """Say how this life ended."""
        if spent(self.trainer.config.budget, self.trainer.position):
            return "finished"
        return "pruned" if self._given_up else "stopped"

    def _agree(self, num_targets: int) -> tuple[int, bool]:
        """Add up what all ranks hold: targets of this step, wishes to stop, and the main rank's clock."""
        seconds = time.monotonic() - self._started if self.trainer.accelerator.is_main_process else 0.0
        mine = torch.tensor([num_targets, self.preemption.wanted or self._given_up, seconds], dtype=torch.float64)
        everyone = sum_over_ranks(mine.to(self.trainer.accelerator.device)).tolist()
        self.trainer.position.seconds = everyone[2]
        return int(everyone[0]), everyone[1] > 0

    def _look_and_save(self) -> None:
        step, config = self.trainer.position.step, self.trainer.config
        if step % config.validation.every_steps == 0:
            self._look()
            self.keeper.save()
        elif step % config.checkpoint.every_steps == 0:
            self.keeper.save()

    def _look(self) -> None:
        place = self.trainer.position
        values = self.validation.look()
        place.looked_at = place.step
        nll = values.get("validation/nll")
        if nll is None:
            raise RunError(
                f"the validation NLL of step {place.step} is not finite: the run has diverged; lower optim.lr"
            )
        self.keeper.record_validation(Best(place.step, nll, self.validation.num_tokens))
        self.journal.log(place.step, values)
        if self.on_look and self.trainer.accelerator.is_main_process:  # the other ranks learn of it in _agree
            self._given_up = self.on_look(place.step, values)


def spent(budget: BudgetConfig, place: Position) -> bool:
    """Say whether one of the budgets is used up."""
    return (
        (budget.steps is not None and place.step >= budget.steps)
        or (budget.tokens is not None and place.tokens >= budget.tokens)
        or (budget.seconds is not None and place.seconds >= budget.seconds)
    )


class _NoBar:
    """Stands for the bar on every rank but the main one."""

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


def _done(budget: BudgetConfig, place: Position) -> float:
    """How much is used up of the budget that the bar shows."""
    name = next(name for name, limit in asdict(budget).items() if limit is not None)
    return {"steps": place.step, "tokens": place.tokens, "seconds": round(place.seconds)}[name]


def _last_words(run: Run, place: Position, state: str) -> str:
    how = "stopped, the same command goes on" if state == "stopped" else state
    best = f", best validation NLL {place.best.nll:.3f} at step {place.best.step}" if place.best else ""
    skipped = f", {place.skipped} steps skipped for a gradient that was not finite" if place.skipped else ""
    return f"{run.path}: {how} after step {place.step}, {place.tokens:,} tokens, {place.seconds:.0f} s{best}{skipped}"
