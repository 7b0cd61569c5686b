"""Opening a run folder for one life: nobody else is in it, the settings fit, and training goes on where it stopped."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from pianogen.config import TrainConfig, flatten, to_dict
from pianogen.data import Batches, ShardSet, chosen_performances, open_shards_at, training_batches
from pianogen.distributed.process_group import check_agreement, wait_for_all
from pianogen.errors import RunError, SettingError
from pianogen.folders import refuse_shards
from pianogen.locks import FileLock, LockHeldError
from pianogen.progress import console
from pianogen.runs import Run, create_run, open_run, record_config
from pianogen.runs.checkpoint import FORMAT, load_tensors, remove_stale, whole_checkpoints
from pianogen.train.code import code_hash
from pianogen.train.environment import describe
from pianogen.train.journal import cut_back
from pianogen.train.optim import horizon
from pianogen.train.trainer import Saved, Trainer

# what may differ between two lives of one run, because it changes nothing that was computed before
_MAY_CHANGE = frozenset(
    {"shards", "out", "micro_batch", "deepspeed", "rank_timeout_s", "resume", "budget", "validation", "checkpoint"}
)


def open_training(config: TrainConfig, accelerator: Accelerator, stack: ExitStack) -> tuple[Run, Trainer, ShardSet]:
    """Make or reopen the run folder of `config`, and a trainer that stands where its last checkpoint stood.

    Raises:
        SettingError: The settings are not those that the run was begun with, or the folder lies among shards.
        RunError: The folder is in use, holds another run or one of another format, or all checkpoints are damaged.
    """
    shards = open_shards_at(config.shards)
    batches = _batches(shards, config)
    path = Path(config.out)
    if not (path / "config.yaml").exists():  # a run that was begun there before this was refused goes on
        refuse_shards(path, "the run")
    if accelerator.is_main_process:
        path.mkdir(parents=True, exist_ok=True)
        stack.enter_context(_locked(path))
    began = open_run(path) if (path / "config.yaml").exists() else None
    config = _as_begun(config, began) if began else _with_horizon(config, batches)
    environment = describe(shards, config.shards, accelerator.num_processes)
    # ranks may find the same shards in different places
    check_agreement({**flatten(to_dict(config)), "code": code_hash(), "shards": shards.fingerprint})
    if began:
        _require_same_shards(began, shards)
    if accelerator.is_main_process and not began:
        create_run(config, environment)
    wait_for_all(accelerator)
    run = Run(path, config)
    trainer = Trainer(config, batches, accelerator, _saved(run, accelerator))
    if accelerator.is_main_process:
        record_config(path, config)
        cut_back(run.metrics_file, trainer.position.step)
    return run, trainer, shards


def _batches(shards: ShardSet, config: TrainConfig) -> Batches:
    split = shards.split("train")
    if config.data.fraction < 1:
        split = split.subset(chosen_performances(len(split), config.data.fraction, config.seed))
    return training_batches(
        split,
        order=config.data.order,
        excerpt_tokens=config.data.excerpt_tokens,
        global_batch=config.global_batch,
        seed=config.seed,
        transposed=config.data.transpose,
    )


def _with_horizon(config: TrainConfig, batches: Batches) -> TrainConfig:
    tokens = horizon(config.optim, config.budget, batches.epoch_targets, batches.order.steps_per_epoch)
    return replace(config, optim=replace(config.optim, horizon_tokens=tokens))


def _as_begun(config: TrainConfig, began: Run) -> TrainConfig:
    """Keep the horizon that the run was begun with, and refuse settings that would make it another run."""
    if config.optim.horizon_tokens is None:
        config = replace(config, optim=replace(config.optim, horizon_tokens=began.config.optim.horizon_tokens))
    if config.resume == "never":
        raise RunError(f"{began.path} holds a run already; give another --out, or --resume auto to go on with it")
    for name, now, then in _differences(to_dict(config), to_dict(began.config)):
        raise SettingError(
            f"setting '{name}' is {now!r}, but the run in {began.path} was begun with {then!r}; "
            "give that value to go on with it, or another --out"
        )
    return config


def _differences(now: dict[str, Any], then: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    before = flatten(then)
    for name, value in flatten(now).items():
        if name.partition(".")[0] not in _MAY_CHANGE and value != before.get(name):
            yield name, value, before.get(name)


def _require_same_shards(run: Run, shards: ShardSet) -> None:
    recorded = run.environment["shards"]
    if recorded["fingerprint"] != shards.fingerprint:
        raise RunError(
            f"the shards have fingerprint {shards.fingerprint[:12]}, but the run in {run.path} was begun on "
            f"{recorded['fingerprint'][:12]} ({recorded['folder']}); give --shards that folder, or another --out"
        )


def _locked(path: Path) -> FileLock:
    try:
        return FileLock(path / ".lock", wait=False)
    except LockHeldError as error:
        raise RunError(f"{path} is in use by process {error.holder}; wait for it, or give another --out") from error


def _saved(run: Run, accelerator: Accelerator) -> Saved | None:
    """What the newest whole checkpoint holds; the main rank sets damaged ones aside first."""
    if accelerator.is_main_process:
        remove_stale(run.checkpoints)
        _set_damaged_aside(run)
    wait_for_all(accelerator)
    newest = next(whole_checkpoints(run.checkpoints), None)
    if newest is None:
        if any(run.checkpoints.glob("damaged-*")):
            raise RunError(f"every checkpoint in {run.checkpoints} is damaged; give another --out to begin anew")
        return None
    path, training = newest
    if isinstance(training, RunError):
        raise training
    _require_same_format(run, training)
    tensors = {group: load_tensors(path, group) for group in ("model", "optimizer", "lanes")}
    return Saved(**tensors, position=training["position"])


def _require_same_format(run: Run, training: dict[str, Any]) -> None:
    if training.get("format") != FORMAT:
        raise RunError(
            f"the checkpoints in {run.path} have format {training.get('format')!r}, this pianogen goes on with "
            f"{FORMAT} alone, since the sample order has changed between them; give another --out to begin anew, or "
            "finish the run with the version that began it (evaluate and generate read it as it is)"
        )


def _set_damaged_aside(run: Run) -> None:
    for path, training in whole_checkpoints(run.checkpoints):
        if not isinstance(training, RunError):
            return
        console.print(f"[yellow]warning:[/] {training}; going back to the one before", soft_wrap=True)
        aside = path.with_name(f"damaged-{path.name}")
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
