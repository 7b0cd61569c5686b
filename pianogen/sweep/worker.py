"""One worker of a sweep: it trains one trial after another until none is left."""

import json
import os
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import yaml

from pianogen import track
from pianogen.config import SweepConfig, TrainConfig, flatten, to_dict
from pianogen.data import open_shards_at
from pianogen.distributed.independent import separate_ranks
from pianogen.distributed.preemption import Preemption
from pianogen.distributed.requeue import requeue
from pianogen.errors import RunError, SettingError
from pianogen.files import write_atomic, write_json
from pianogen.folders import refuse_shards
from pianogen.progress import console
from pianogen.sweep.figure import redraw
from pianogen.sweep.naming import put, with_settings
from pianogen.sweep.results import print_results, write_results
from pianogen.sweep.space import Choice, Space, read_space, require_comparable_steps
from pianogen.sweep.study import ClaimedTrial, Study, trial_settings
from pianogen.sweep.worker_group import WorkerGroup
from pianogen.train import train
from pianogen.train.loop import require_settings

RECORD = "sweep.yaml"
_MAY_CHANGE = frozenset({"shards", "out", "resume", "micro_batch", "rank_timeout_s"})
_REDRAW_S = 60.0


def work(space_file: Path, config: TrainConfig, settings: SweepConfig) -> bool:
    """Train trials until all are finished or claimed by other workers, and write the results.

    Returns whether this worker was stopped, is not requeued, and was the last worker of its job.

    Raises:
        SettingError: The space or the settings are invalid, or differ from those that the sweep was started with.
        RunError: Every trial failed.
        KeyboardInterrupt: Ctrl-C; the current trial has a checkpoint, and the same command resumes it.
    """
    launched = dict(os.environ)
    separate_ranks(os.environ)
    space = read_space(space_file, config)
    base = replace(with_settings(config, space.fixed), resume="auto")
    require_settings(base, "pianogen sweep SPACE.yaml --shards DIR --out SWEEP", budget_of="each trial ")
    if settings.prune:
        require_comparable_steps(space)
    open_shards_at(base.shards)  # an error there is no failure of a trial
    if not (Path(config.out) / RECORD).exists():
        refuse_shards(Path(config.out), "the sweep")
    group = WorkerGroup(Path(config.out), launched)
    study = Study(Path(config.out), space, settings, base.seed)
    with study.locked():
        _require_same_settings(study.folder, _record(base, space, settings))
    preemption = Preemption()  # between trials; during a trial, train has its own
    try:
        stopped = _train_trials(study, base, preemption)
    finally:
        preemption.release()
    requeued = stopped and preemption.signal != signal.SIGINT and requeue()  # first: the time limit is near
    write_results(study, base)
    redraw(study)
    with track.mirroring(study.folder):
        pass  # mirrors the sweep's own folder once; the trials are mirrored during training
    print_results(study)
    preemption.raise_if_interrupted()
    return group.leave() and stopped and not requeued


def _record(base: TrainConfig, space: Space, settings: SweepConfig) -> dict[str, Any]:
    """The content of sweep.yaml: the space file with every other setting filled in."""
    record = {name: value for name, value in to_dict(base).items() if name not in _MAY_CHANGE}
    for name, what in space.searched.items():
        put(record, name, list(what.values) if isinstance(what, Choice) else asdict(what))
    how = {name: value for name, value in to_dict(settings).items() if name != "trials"}
    return {**record, "sweep": how}


def _require_same_settings(folder: Path, record: dict[str, Any]) -> None:
    file = folder / RECORD
    if not file.exists():
        write_atomic(file, yaml.safe_dump(record, sort_keys=False))
        return
    now, then = flatten(record), flatten(_recorded(file))
    for name in sorted({*now, *then}):
        if now.get(name) != then.get(name):
            raise SettingError(
                f"setting '{name.removeprefix('sweep.')}' is {now.get(name)!r}, but the sweep in {folder} was "
                f"started with {then.get(name)!r}; give that value to resume it, or another --out"
            )


def _recorded(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
        if not isinstance(content, dict):
            raise ValueError("it does not contain settings")
    except (UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{file} is damaged ({reason}); remove it if these settings are those of the sweep") from error
    return content


def _train_trials(study: Study, base: TrainConfig, preemption: Preemption) -> bool:
    """Train one trial after another; return whether this worker was asked to stop."""
    stopped, drawn = False, time.monotonic()
    while not (stopped or preemption.wanted) and (claimed := study.claim()):
        with claimed.lock:
            stopped = not _train(study, claimed, base)
        write_results(study, base)
        if time.monotonic() - drawn > _REDRAW_S:
            redraw(study)
            drawn = time.monotonic()
    return stopped or preemption.wanted


def _train(study: Study, claimed: ClaimedTrial, base: TrainConfig) -> bool:
    """Train a trial; return False if it was stopped, which leaves it running for another worker to resume."""
    config = replace(with_settings(base, trial_settings(claimed.trial)), out=str(claimed.folder))
    console.rule(f"[bold]trial {claimed.trial.number:04d} of {study.num_trials}", align="left")
    console.print(", ".join(f"{name} {value}" for name, value in trial_settings(claimed.trial).items()), soft_wrap=True)
    write_json(claimed.folder / "parent.json", {"folder": "../.."})
    try:
        train(config, lambda step, metrics: study.report(claimed, step, metrics["validation/nll"]))
    except (RunError, torch.OutOfMemoryError) as error:  # these settings cannot be trained; others may
        study.fail(claimed, " ".join(str(error).split()))
        return True
    state = json.loads((claimed.folder / "status.json").read_text())["state"]
    if state == "finished":
        study.finish(claimed)
    elif state == "pruned":
        study.prune(claimed)
    return state != "stopped"
