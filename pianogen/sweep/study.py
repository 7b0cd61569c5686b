"""The study that all workers share: an Optuna journal in the sweep's folder, and who works on which trial.

SWEEP/
  sweep.yaml     what is searched and with which settings; a later call must agree
  journal.log    Optuna's own record of every trial
  trials/0000/   a run folder each
  best.yaml      the best settings so far, ready for `pianogen train --config`
  trials.csv     every trial, best first
  trials.png     the same as a picture

A worker holds a lock in the folder of its trial. The kernel lets go of it when the worker dies, however it dies, and
so a trial that is running without a lock is one to go on with.
"""

import fcntl
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from pianogen.config import SweepConfig
from pianogen.randomness import RandomStream, stream_key
from pianogen.runs.checkpoint import list_checkpoints
from pianogen.sweep.journal import damaged, open_journal, require_sound
from pianogen.sweep.naming import Value
from pianogen.sweep.space import Choice, Searched, Space

DEFAULT_TRIALS = 20
_MOST_DEATHS = 3  # of workers, before the trial that they worked on is taken for the reason


@dataclass
class Claim:
    """A trial that this worker alone works on, until it lets go."""

    trial: Trial
    folder: Path
    looks: dict[int, float]
    """Validation NLL by step, of earlier lives too."""
    lock: IO[str]


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
        with self.alone():
            self._study = self._open(pruner if settings.prune else optuna.pruners.NopPruner())

    def _open(self, pruner: optuna.pruners.BasePruner) -> optuna.Study:
        journal = self.folder / "journal.log"
        try:
            study = optuna.create_study(
                storage=open_journal(journal), study_name="sweep", load_if_exists=True, pruner=pruner
            )
            require_sound(study.get_trials(deepcopy=False), journal)
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # values of a type that Optuna cannot use
            raise damaged(journal, repr(error)) from error
        return study

    @contextmanager
    def alone(self, lock: str = ".lock") -> Iterator[None]:
        """Keep the other workers from claiming trials and writing results, or with another lock from something else."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / lock).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def trials(self) -> list[FrozenTrial]:
        """Every trial so far, by number."""
        return self._study.get_trials(deepcopy=False)

    def claim(self) -> Claim | None:
        """Take up a trial whose worker died, or begin one; none are left when all are done or in other hands."""
        with self.alone():
            trials = self.trials()
            for trial in trials:
                if trial.state == TrialState.RUNNING and (lock := self._try_lock(trial.number)):
                    claim = self._taken_up(trial, lock)
                    if self._may_go_on(claim):
                        return claim
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if len(trials) >= self.num_trials and not waiting:
                return None
            return self._begun(len(trials), waiting)

    def _taken_up(self, trial: FrozenTrial, lock: IO[str]) -> Claim:
        self._seed_sampler(trial.number)
        # Optuna has no public way to a Trial of another process
        return self._claim_of(Trial(self._study, trial._trial_id), dict(trial.intermediate_values), lock)

    def _may_go_on(self, claim: Claim) -> bool:
        """Say whether to go on with a trial, and fail one that ended every worker that tried."""
        if _ended_in_peace(claim.folder):
            return True
        step = _last_step(claim.folder)
        before, number = claim.trial.user_attrs.get("deaths", (step, 0))
        number = number + 1 if before == step else 1
        claim.trial.set_user_attr("deaths", (step, number))
        if number < _MOST_DEATHS:
            return True
        with claim.lock:
            self.fail(claim, f"it ended {number} workers after step {step}; their logs may say how")
        return False

    def _begun(self, number: int, waiting: bool) -> Claim:
        self._seed_sampler(number)
        if self._grid and not waiting:  # a worker that died right here has left the point waiting
            self._study.enqueue_trial(self._grid[number])
        trial = self._study.ask()
        lock = self._try_lock(trial.number)
        assert lock, "nobody else knows of a new trial before .lock is free"
        return self._claim_of(trial, {}, lock)

    def _claim_of(self, trial: Trial, looks: dict[int, float], lock: IO[str]) -> Claim:
        for name, what in self.space.searched.items():  # what a dead worker had not drawn yet is drawn now
            try:
                _draw(trial, name, what)
            except ValueError as error:
                raise damaged(self.folder / "journal.log", f"trial {trial.number}: {error}") from error
        return Claim(trial, self.trial_folder(trial.number), looks, lock)

    def _seed_sampler(self, number: int) -> None:
        """Draw from (seed, trial): workers with one seed would all begin with the same points."""
        seed = stream_key(self._seed, RandomStream.TRIAL, number) % 2**32
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def trial_folder(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.folder / "trials" / f"{number:04d}"

    def _try_lock(self, number: int) -> IO[str] | None:
        folder = self.trial_folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".worker").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def report(self, claim: Claim, step: int, nll: float) -> bool:
        """Note a look at a trial and say whether to give it up."""
        if step not in claim.looks:  # a life that went on from a checkpoint repeats what came after it
            claim.trial.report(nll, step)
            claim.looks[step] = nll
        return claim.trial.should_prune()

    def finish(self, claim: Claim) -> None:
        """Note that a trial has spent its budget."""
        nll = min(claim.looks.values(), default=math.nan)
        if math.isfinite(nll):
            self._study.tell(claim.trial.number, nll, TrialState.COMPLETE)
        else:
            self.fail(claim, f"its validation NLL is {nll}")

    def give_up(self, claim: Claim) -> None:
        """Note that a trial was pruned."""
        self._study.tell(claim.trial.number, state=TrialState.PRUNED)

    def fail(self, claim: Claim, reason: str) -> None:
        """Note that a trial could not be trained to its end."""
        claim.trial.set_user_attr("reason", reason)
        self._study.tell(claim.trial.number, state=TrialState.FAIL)


def settings_of(trial: Trial | FrozenTrial) -> dict[str, Value]:
    """What a trial trains with. Drawn floats are rounded: three steps of 0.1 make 0.3, not 0.30000000000000004."""
    return {
        name: float(f"{value:.12g}") if isinstance(trial.distributions[name], FloatDistribution) else value
        for name, value in trial.params.items()
    }


def _ended_in_peace(run: Path) -> bool:
    """Whether the last life of a trial said how it ended, and did so because it was asked to."""
    try:
        status = json.loads((run / "status.json").read_text())
    except (OSError, ValueError, RecursionError):  # as of a life that could not say it
        return False
    return isinstance(status, dict) and status.get("state") in ("stopped", "finished", "pruned")


def _last_step(run: Path) -> int:
    """The newest checkpoint of a trial."""
    return max((int(path.name[5:]) for path in list_checkpoints(run / "checkpoints")), default=0)


def _num_trials(asked: int | None, grid: Sequence[dict[str, Value]] | None) -> int:
    if grid is None:
        return asked or DEFAULT_TRIALS
    return min(asked or len(grid), len(grid))


def _draw(trial: Trial, name: str, what: Searched) -> None:
    """Give a trial a value, unless it has one."""
    if isinstance(what, Choice):
        trial.suggest_categorical(name, what.values)
    elif what.whole:
        trial.suggest_int(name, int(what.low), int(what.high), step=int(what.step or 1), log=what.log)
    else:
        trial.suggest_float(name, what.low, what.high, step=what.step, log=what.log)
