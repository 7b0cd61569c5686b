"""One worker of a sweep: it trains one trial after the other until none are left for it."""

import json
import os
import signal
import time
from collections.abc import MutableMapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import yaml

from pianogen import track
from pianogen.config import SweepConfig, TrainConfig, flatten, to_dict
from pianogen.data import open_shards_at
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
from pianogen.sweep.study import Claim, Study, settings_of
from pianogen.sweep.worker_group import WorkerGroup
from pianogen.train import train

RECORD = "sweep.yaml"
_MAY_CHANGE = frozenset({"shards", "out", "resume", "micro_batch", "rank_timeout_s"})
_REDRAW_S = 60.0


def work(space_file: Path, config: TrainConfig, settings: SweepConfig) -> bool:
    """Train trials until all are done or in other workers' hands, and write down what was found.

    Returns whether this worker was stopped, nobody will start it again, and no other one of its job is still at work.

    Raises:
        SettingError: The space or the settings are wrong, or not those that the sweep was begun with.
        RunError: Every trial failed.
        KeyboardInterrupt: Ctrl-C; the trial at hand has written a checkpoint, and the same command goes on with it.
    """
    launched = dict(os.environ)
    stand_alone(os.environ)
    space = read_space(space_file, config)
    base = replace(with_settings(config, space.fixed), resume="auto")
    _require_whole(base)
    if settings.prune:
        require_comparable_steps(space)
    open_shards_at(base.shards)  # a mistake there is no trial's
    if not (Path(config.out) / RECORD).exists():
        refuse_shards(Path(config.out), "the sweep")
    group = WorkerGroup(Path(config.out), launched)
    study = Study(Path(config.out), space, settings, base.seed)
    with study.alone():
        _require_as_begun(study.folder, _record(base, space, settings))
    preemption = Preemption()  # between trials; in a trial it is train's
    try:
        stopped = _train_trials(study, base, preemption)
    finally:
        preemption.release()
    again = stopped and preemption.signal != signal.SIGINT and requeue()  # before the time for it is over
    write_results(study, base)
    redraw(study)
    with track.mirroring(study.folder):
        pass  # once, to the end: the trials have mirrored themselves
    print_results(study)
    preemption.raise_if_interrupted()
    return group.leave() and stopped and not again


def stand_alone(environment: MutableMapping[str, str]) -> None:
    """Make each rank of a job a worker for itself, which trains on its own GPU of the node and meets nobody.

    A lone rank too: a process group, which a launcher's variables ask for, would not outlive the first trial.
    """
    if "WORLD_SIZE" not in environment:
        return
    if int(environment["WORLD_SIZE"]) > 1:
        local_rank = int(environment.get("LOCAL_RANK", "0"))
        devices = environment.get("CUDA_VISIBLE_DEVICES", str(local_rank)).split(",")
        environment["CUDA_VISIBLE_DEVICES"] = devices[local_rank % len(devices)]
    environment["RANK"] = "0"  # any of them may be the last that is there to ask for a requeue
    # LOCAL_WORLD_SIZE stays: the workers of a node share its cores
    for name in ("WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_NTASKS"):
        environment.pop(name, None)


def _require_whole(config: TrainConfig) -> None:
    for name in ("shards", "out"):
        if not getattr(config, name):
            raise SettingError(f"setting '{name}' is missing; pianogen sweep SPACE.yaml --shards DIR --out SWEEP")
    if not any(asdict(config.budget).values()):
        raise SettingError("no budget is set; give each trial --budget.steps, --budget.tokens or --budget.seconds")


def _record(base: TrainConfig, space: Space, settings: SweepConfig) -> dict[str, Any]:
    """The sweep, shaped as its space file, with every other setting filled in."""
    record = {name: value for name, value in to_dict(base).items() if name not in _MAY_CHANGE}
    for name, what in space.searched.items():
        put(record, name, list(what.values) if isinstance(what, Choice) else asdict(what))
    how = {name: value for name, value in to_dict(settings).items() if name != "trials"}
    return {**record, "sweep": how}


def _require_as_begun(folder: Path, record: dict[str, Any]) -> None:
    file = folder / RECORD
    if not file.exists():
        write_atomic(file, yaml.safe_dump(record, sort_keys=False))
        return
    now, then = flatten(record), flatten(_begun_with(file))
    for name in sorted({*now, *then}):
        if now.get(name) != then.get(name):
            raise SettingError(
                f"setting '{name.removeprefix('sweep.')}' is {now.get(name)!r}, but the sweep in {folder} was begun "
                f"with {then.get(name)!r}; give that to go on with it, or another --out"
            )


def _begun_with(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
        if not isinstance(content, dict):
            raise ValueError("it holds no settings")
    except (UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{file} is damaged ({reason}); remove it if these are the settings that it held") from error
    return content


def _train_trials(study: Study, base: TrainConfig, preemption: Preemption) -> bool:
    """Train one trial after the other, and say whether this worker was asked to stop."""
    stopped, drawn = False, time.monotonic()
    while not (stopped or preemption.wanted) and (claim := study.claim()):
        with claim.lock:
            stopped = not _train(study, claim, base)
        write_results(study, base)
        if time.monotonic() - drawn > _REDRAW_S:
            redraw(study)
            drawn = time.monotonic()
    return stopped or preemption.wanted


def _train(study: Study, claim: Claim, base: TrainConfig) -> bool:
    """Train a trial, and say whether to go on with another; one that was stopped stays open for whoever comes next."""
    config = replace(with_settings(base, settings_of(claim.trial)), out=str(claim.folder))
    console.rule(f"[bold]trial {claim.trial.number:04d} of {study.num_trials}", align="left")
    console.print(", ".join(f"{name} {value}" for name, value in settings_of(claim.trial).items()), soft_wrap=True)
    write_json(claim.folder / "parent.json", {"folder": "../.."})
    try:
        train(config, lambda step, metrics: study.report(claim, step, metrics["validation/nll"]))
    except (RunError, torch.OutOfMemoryError) as error:  # these settings cannot be trained; others may
        study.fail(claim, " ".join(str(error).split()))
        return True
    state = json.loads((claim.folder / "status.json").read_text())["state"]
    if state == "finished":
        study.finish(claim)
    elif state == "pruned":
        study.give_up(claim)
    return state != "stopped"
