"""Carrying out a plan: each run is trained, scored and written down once, whatever interrupts it.

OUT/shards/NAME  OUT/runs/NAME  OUT/pieces/NAME     see `results` for what is kept of them
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pianogen.config import ReproduceConfig, TrainConfig, part_of
from pianogen.distributed.independent import separate_ranks
from pianogen.distributed.preemption import Preemption
from pianogen.errors import RunError, SettingError
from pianogen.folders import named, refuse_run, refuse_shards
from pianogen.locks import FileLock, LockHeldError
from pianogen.manifest import MANIFEST_NAME
from pianogen.progress import console
from pianogen.reproduce import baselines, judging
from pianogen.reproduce.judged import judged_file
from pianogen.reproduce.measure import progress_of, score_run
from pianogen.reproduce.page import write_page
from pianogen.reproduce.plan import Plan, PlannedRun
from pianogen.reproduce.plan_file import read_plan
from pianogen.reproduce.results import read_result, result_file, write_result, write_unfinished
from pianogen.reproduce.shard_sets import make_shards
from pianogen.train import train

_SIGNAL_EVERY_S = 1.0


def reproduce(out: Path, config: ReproduceConfig) -> bool:
    """Train and score the runs of a plan that have no result, in order, and write the page.

    Returns whether a signal stopped it, so that the same command must be given again.

    Raises:
        SettingError: The plan is invalid, or an entry is not the one that its result file was made with.
        RunError: Another process works in `out`, or a run has failed; the other runs are done first.
        KeyboardInterrupt: Ctrl-C; the run has a checkpoint.
    """
    separate_ranks(os.environ)
    plan = read_plan(Path(config.plan))
    job = Job(out, plan, config)
    wanted = job.chosen()
    missing = job.without_result(wanted)
    job.require_list(missing)
    refuse_run(out, "the reproduction")
    refuse_shards(out, "the reproduction")
    out.mkdir(parents=True, exist_ok=True)
    job.results.mkdir(parents=True, exist_ok=True)
    preemption = Preemption()  # between runs; during one, train has its own
    try:
        with _locked(out, shared=config.part is not None):
            failed = job.carry_out(missing, preemption)
            job.score_baselines()
            failed += job.judge_pieces(wanted, preemption)
    finally:
        preemption.release()
    if config.part is None:  # else other processes may be writing results: a later call makes the page
        print(write_page(plan, job.results))
    job.report(wanted)
    preemption.raise_if_interrupted()
    if failed:
        raise RunError(f"{len(failed)} of the runs failed; the first: {failed[0]}")
    return job.stopped


class Job:
    """One call of the command."""

    def __init__(self, out: Path, plan: Plan, config: ReproduceConfig) -> None:
        self.out, self.plan, self.config = out, plan, config
        self.results = named(Path(config.results))  # the page has the folder's name
        self.stopped = False
        self._end = None if config.hours is None else time.monotonic() + 3600 * config.hours

    def chosen(self) -> list[PlannedRun]:
        """The runs of the plan, or those of its part."""
        first, step = part_of(self.config.part)
        return list(self.plan.runs.values())[first::step]

    def without_result(self, runs: list[PlannedRun]) -> list[PlannedRun]:
        """Those that are still to be run."""
        return [run for run in runs if read_result(self.results, run) is None]

    def require_list(self, runs: list[PlannedRun]) -> None:
        """Find out before hours of training that the last run cannot be started."""
        for run in runs:
            if run.shards.listed and self.config.list is None and self.config.hours != 0:
                raise SettingError(
                    f"the shards {run.shard_set!r} of run {run.name!r} hold the files of a list only; give --list "
                    "FILE.csv, for the paper's data maestro-v1.0.0.csv"
                )

    def carry_out(self, runs: list[PlannedRun], preemption: Preemption) -> list[str]:
        """Do one run after another until time or runs end; return why runs failed."""
        failed = []
        for index, run in enumerate(runs):
            if self.stopped or preemption.wanted or self.left_s() <= 0:
                break
            self._announce(run, len(runs) - index)
            try:
                self._carry_out(run)
            except RunError as error:  # such as divergence, which says nothing about the other runs
                failed.append(f"{run.name}: {error}")
                console.print(f"[red]{run.name} failed:[/] {error}", soft_wrap=True, markup=True)
        self.stopped = (self.stopped or preemption.wanted) and self.left_s() > 0
        self._note_unfinished(runs)
        return failed

    def left_s(self) -> float:
        """Seconds until the time given by `hours` is over."""
        return float("inf") if self._end is None else self._end - time.monotonic()

    def _announce(self, run: PlannedRun, left: int) -> None:
        done = len(self.plan.runs) - len(self.without_result(list(self.plan.runs.values())))
        hours = "" if self._end is None else f", {self.left_s() / 3600:.1f} h left"
        console.rule(
            f"[bold]{run.name}[/]: {done} of {len(self.plan.runs)} runs done, {left} to do{hours}", align="left"
        )

    def _carry_out(self, run: PlannedRun) -> None:
        shards = make_shards(self.out / "shards" / run.shard_set, run.shards, self.config)
        folder = self.out / "runs" / run.name
        with _stop_after(self.left_s()):
            outcome = train(replace(_with_horizon(run.train), shards=str(shards), out=str(folder)))
        if outcome == "stopped":
            self.stopped = self.left_s() > 0
            return
        scores, sums = score_run(run, folder, shards)
        write_result(self.results, run.name, {**(progress_of(run, folder) or {}), **scores}, sums)

    def score_baselines(self) -> None:
        """Score the baselines of the tables on the shards that there are, unless time is over."""
        for run in baselines.wanted(self.plan):
            shards = self.out / "shards" / run.shard_set
            if self.left_s() <= 0 or self.stopped or baselines.baselines_file(self.results, run.shard_set).exists():
                continue
            if (shards / MANIFEST_NAME).exists():
                baselines.write_baselines(self.results, run, shards)

    def judge_pieces(self, runs: list[PlannedRun], preemption: Preemption) -> list[str]:
        """Judge pieces of the finished runs that tables name, unless time is over; return why runs failed.

        A run whose folder was not kept is left out, and the page says so.
        """
        failed = []
        for run in judging.wanted(self.plan):
            if self.stopped or preemption.wanted or self.left_s() <= 0:
                break
            here = run in runs and (self.out / "runs" / run.name).is_dir() and not self.without_result([run])
            if not here or judged_file(self.results, run.name).exists():
                continue
            console.rule(f"[bold]{run.name}[/]: judging pieces", align="left")
            try:
                make_shards(self.out / "shards" / run.shard_set, run.shards, self.config)
                judging.judge_run(self.results, run, self.out, self.plan.pieces)
            except (RunError, SettingError) as error:  # such as a checkpoint that is damaged
                failed.append(f"pieces of {run.name}: {error}")
                console.print(f"[red]pieces of {run.name}:[/] {error}", soft_wrap=True, markup=True)
        return failed

    def _note_unfinished(self, runs: list[PlannedRun]) -> None:
        for run in runs:
            folder = self.out / "runs" / run.name
            if not result_file(self.results, run.name).exists() and (progress := progress_of(run, folder)):
                write_unfinished(self.results, run.name, progress)

    def report(self, wanted: list[PlannedRun]) -> None:
        """Say what is done and what is left."""
        left = [run.name for run in self.without_result(wanted)]
        state = f"next: {left[0]}; the same command continues" if left else "nothing is left to run"
        print(f"{len(wanted) - len(left)} of {len(wanted)} runs have results; {state}")


def _with_horizon(config: TrainConfig) -> TrainConfig:
    """Say where the schedule ends, so that training refuses a run that was begun with another budget of tokens."""
    horizon = config.optim.horizon_tokens or config.budget.tokens
    return replace(config, optim=replace(config.optim, horizon_tokens=horizon))


@contextmanager
def _locked(out: Path, *, shared: bool) -> Iterator[None]:
    """Keep other processes out; those that do a part each may work beside each other."""
    try:
        with FileLock(out / ".lock", shared=shared, wait=False):
            yield
    except LockHeldError as error:
        raise RunError(
            f"{out} is in use by pianogen reproduce in process {error.holder}; wait for it, or give another --out"
        ) from error


@contextmanager
def _stop_after(seconds: float) -> Iterator[None]:
    """Ask this process to stop training after some time, as a scheduler does before a time limit."""
    if seconds == float("inf"):
        yield
        return
    over = threading.Event()

    def ask() -> None:
        pause = seconds
        while not over.wait(max(0.0, pause)):  # again: the first signal may come before training listens
            os.kill(os.getpid(), signal.SIGUSR2)
            pause = _SIGNAL_EVERY_S

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
