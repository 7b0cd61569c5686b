"""The study that all workers share: an Optuna journal in the sweep's folder, and a lock for each trial.

SWEEP/
  sweep.yaml     what is searched and with which settings; a later call must agree
  journal.log    Optuna's own record of every trial
  trials/0000/   a run folder each
  best.yaml      the best settings so far, ready for `pianogen train --config`
  trials.csv     every trial, best first
  trials.png     every trial as a figure

A worker holds a lock in the folder of its trial. The kernel releases it when the worker ends, however it ends, so a
trial that is running and not locked is one to resume.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from pianogen.config import SweepConfig
from pianogen.locks import FileLock, LockHeldError
from pianogen.randomness import RandomStream, stream_key
from pianogen.runs.checkpoint import list_checkpoints, step_of
from pianogen.sweep.journal import FAILURES, damaged, failures_of, open_journal, require_valid, trial_of
from pianogen.sweep.naming import Value
from pianogen.sweep.space import Choice, Searched, Space

DEFAULT_TRIALS = 20
_MAX_FAILURES = 3  # of workers at one step of a trial, before the trial is failed


@dataclass
class ClaimedTrial:
    """A trial that only this worker trains, until it releases the lock."""

    trial: Trial
    folder: Path
    nll_by_step: dict[int, float]
    """Validation NLL by step, of earlier attempts too."""
    lock: FileLock


class Study:
    """One worker's view of the sweep.

    Raises:
        RunError: The journal is damaged.
    """

    def __init__(self, folder: Path, space: Space, settings: SweepConfig, seed: int) -> None:
        self.folder, self.space, self._seed = folder, space, seed
        self._grid = space.grid() if settings.grid else None
        self.num_trials = _num_trials(settings.trials, self._grid)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=settings.prune_after)
        with self.locked():
            self._study = self._open(pruner if settings.prune else optuna.pruners.NopPruner())

    def _open(self, pruner: optuna.pruners.BasePruner) -> optuna.Study:
        journal = self.folder / "journal.log"
        try:
            study = optuna.create_study(
                storage=open_journal(journal), study_name="sweep", load_if_exists=True, pruner=pruner
            )
            require_valid(study.get_trials(deepcopy=False), journal)
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # values of a type that Optuna cannot use
            raise damaged(journal, repr(error)) from error
        return study

    @contextmanager
    def locked(self, lock: str = ".lock") -> Iterator[None]:
        """Exclude the other workers: with the default lock from claiming trials and writing results."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / lock):
            yield

    def trials(self) -> list[FrozenTrial]:
        """Every trial so far, by number."""
        return self._study.get_trials(deepcopy=False)

    def claim(self) -> ClaimedTrial | None:
        """Resume a trial whose worker ended, or start one; None if all are finished or claimed by other workers."""
        with self.locked():
            trials = self.trials()
            for trial in trials:
                if trial.state == TrialState.RUNNING and (lock := self._try_lock(trial.number)):
                    claimed = self._resumed(trial, lock)
                    if self._may_resume(claimed):
                        return claimed
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if len(trials) >= self.num_trials and not waiting:
                return None
            return self._started(len(trials), waiting)

    def _resumed(self, trial: FrozenTrial, lock: FileLock) -> ClaimedTrial:
        self._seed_sampler(trial.number)
        return self._claimed(trial_of(self._study, trial), dict(trial.intermediate_values), lock)

    def _may_resume(self, claimed: ClaimedTrial) -> bool:
        """Count an attempt that ended without saying so as a failure; fail a trial with too many at one step."""
        if _ended_regularly(claimed.folder):
            return True
        step = _last_step(claimed.folder)
        before, number = failures_of(claimed.trial) or (step, 0)
        number = number + 1 if before == step else 1
        claimed.trial.set_user_attr(FAILURES, (step, number))
        if number < _MAX_FAILURES:
            return True
        with claimed.lock:
            self.fail(claimed, f"{number} workers were killed after step {step}; their logs may contain the reason")
        return False

    def _started(self, number: int, waiting: bool) -> ClaimedTrial:
        self._seed_sampler(number)
        if self._grid and not waiting:  # a worker that was killed here has left the point waiting
            self._study.enqueue_trial(self._grid[number])
        trial = self._study.ask()
        lock = self._try_lock(trial.number)
        assert lock, "no other worker can lock a new trial before .lock is released"
        return self._claimed(trial, {}, lock)

    def _claimed(self, trial: Trial, nll_by_step: dict[int, float], lock: FileLock) -> ClaimedTrial:
        for name, what in self.space.searched.items():  # what a killed worker had not drawn yet is drawn now
            try:
                _draw(trial, name, what)
            except ValueError as error:
                raise damaged(self.folder / "journal.log", f"trial {trial.number}: {error}") from error
        return ClaimedTrial(trial, self.trial_folder(trial.number), nll_by_step, lock)

    def _seed_sampler(self, number: int) -> None:
        """Seed by (seed, trial number): workers with the same seed would all draw the same first points."""
        seed = stream_key(self._seed, RandomStream.TRIAL, number) % 2**32
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def trial_folder(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.folder / "trials" / f"{number:04d}"

    def _try_lock(self, number: int) -> FileLock | None:
        folder = self.trial_folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(folder / ".worker", wait=False)
        except LockHeldError:
            return None

    def report(self, claimed: ClaimedTrial, step: int, nll: float) -> bool:
        """Record a validation of a trial; return whether to prune it."""
        if step not in claimed.nll_by_step:  # a resumed trial repeats the validations after its checkpoint
            claimed.trial.report(nll, step)
            claimed.nll_by_step[step] = nll
        return claimed.trial.should_prune()

    def finish(self, claimed: ClaimedTrial) -> None:
        """Record that a trial has used its budget."""
        nll = min(claimed.nll_by_step.values(), default=math.nan)
        if math.isfinite(nll):
            self._study.tell(claimed.trial.number, nll, TrialState.COMPLETE)
        else:
            self.fail(claimed, f"its validation NLL is {nll}")

    def prune(self, claimed: ClaimedTrial) -> None:
        """Record that a trial was pruned."""
        self._study.tell(claimed.trial.number, state=TrialState.PRUNED)

    def fail(self, claimed: ClaimedTrial, reason: str) -> None:
        """Record that a trial could not be trained to its end."""
        claimed.trial.set_user_attr("reason", reason)
        self._study.tell(claimed.trial.number, state=TrialState.FAIL)


def trial_settings(trial: Trial | FrozenTrial) -> dict[str, Value]:
    """The settings of a trial. Drawn floats are rounded: three steps of 0.1 make 0.3, not 0.30000000000000004."""
    return {
        name: float(f"{value:.12g}") if isinstance(trial.distributions[name], FloatDistribution) else value
        for name, value in trial.params.items()
    }


def _ended_regularly(run: Path) -> bool:
    """Whether the last attempt at a trial recorded that it was stopped, finished or pruned."""
    try:
        status = json.loads((run / "status.json").read_text())
    except (OSError, ValueError, RecursionError):  # as after a kill
        return False
    return isinstance(status, dict) and status.get("state") in ("stopped", "finished", "pruned")


def _last_step(run: Path) -> int:
    """The newest checkpoint of a trial."""
    return max(map(step_of, list_checkpoints(run / "checkpoints")), default=0)


def _num_trials(asked: int | None, grid: Sequence[dict[str, Value]] | None) -> int:
    if grid is None:
        return asked or DEFAULT_TRIALS
    return min(asked or len(grid), len(grid))


def _draw(trial: Trial, name: str, what: Searched) -> None:
    """Draw a value for a setting of a trial, unless it has one."""
    if isinstance(what, Choice):
        trial.suggest_categorical(name, what.values)
    elif what.whole:
        trial.suggest_int(name, int(what.low), int(what.high), step=int(what.step or 1), log=what.log)
    else:
        trial.suggest_float(name, what.low, what.high, step=what.step, log=what.log)
