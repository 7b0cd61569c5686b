"""Opening a run folder to train in it: it is locked, and its settings and shards match those given."""

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from pianogen.config import TrainConfig, differences, flatten, to_dict
from pianogen.data import Batches, ShardSet, Split, chosen_performances, open_shards_at, training_batches
from pianogen.distributed.process_group import check_agreement, wait_for_all
from pianogen.errors import RunError, SettingError
from pianogen.folders import refuse_shards
from pianogen.locks import FileLock, LockHeldError
from pianogen.ops.forms import choose_form, form_in_use, has_native_bf16
from pianogen.progress import console
from pianogen.runs import PRETRAINED, Run, create_run, open_run, record_config
from pianogen.train.checkpointing import CheckpointManager
from pianogen.train.code import code_hash
from pianogen.train.environment import describe
from pianogen.train.initial import Initial, weights_again, with_model
from pianogen.train.journal import truncate_after
from pianogen.train.optim import horizon
from pianogen.train.skip_gram import VECTORS, write_vectors
from pianogen.train.trainer import Trainer

# settings that may differ between two attempts of one run, since no step depends on them
_MAY_CHANGE = frozenset(
    {"shards", "out", "micro_batch", "deepspeed", "ops", "rank_timeout_s", "resume"}
    | {"budget", "validation", "checkpoint"}
)


def open_training(
    config: TrainConfig, accelerator: Accelerator, stack: ExitStack, given: Collection[str] | None = None
) -> tuple[Run, Trainer, CheckpointManager, ShardSet]:
    """Create or open the run folder of `config`, and make a trainer from its newest checkpoint.

    `given` names the settings that come from the user; see `initial.with_model`.

    Raises:
        SettingError: The settings are not those that the run was started with, or the folder is inside shards.
        RunError: The folder is in use, holds another run or one of another format, or all checkpoints are damaged.
    """
    shards = open_shards_at(config.shards)
    batches, device = _batches(shards, config), accelerator.device
    path = _run_folder(config.out)
    if accelerator.is_main_process:
        path.mkdir(parents=True, exist_ok=True)
        stack.enter_context(_locked(path))
    started = open_run(path) if (path / "config.yaml").exists() else None
    named_init, initial = config.init, None
    if started:
        config = _same_settings(config, started, given)
    else:
        initial = Initial.open(config, shards.tokenizer)
        config = _resolved(initial.configure(config, given) if initial else config, batches, device)
    choose_form(config.ops)
    environment = describe(shards, config.shards, accelerator.num_processes, device, bf16=config.precision == "bf16")
    if initial:
        environment["init"] = initial.describe()
    _require_agreement(config, environment, device)
    if started:
        _require_same_shards(started, shards)
    if accelerator.is_main_process:
        if started:
            _warn_of_other_rounding(started, environment)
        else:
            _create(config, environment, shards)
    wait_for_all(accelerator)
    run = Run(path, config)
    checkpoints = CheckpointManager(run, shards, accelerator)
    restored, weights = checkpoints.restore(), initial and initial.weights
    if started and restored is None:
        weights = weights_again(run, named_init, shards.tokenizer)
    trainer = Trainer(config, batches, accelerator, restored, weights)
    if accelerator.is_main_process:
        record_config(path, config)
        truncate_after(run.metrics_file, restored.position.step if restored else -1)
    return run, trainer, checkpoints, shards


def _run_folder(out: str) -> Path:
    """The folder to train in.

    Raises:
        SettingError: It is inside shards, or is the name of the pretrained model.
        RunError: It is an exported run.
    """
    path = Path(out)
    if out == PRETRAINED:
        raise SettingError(f"setting 'out' is '{PRETRAINED}', the model that ships with pianogen; give another --out")
    if not (path / "config.yaml").exists():  # older versions allowed it inside shards, and such a run may resume
        refuse_shards(path, "the run")
    elif open_run(path).is_exported:
        raise RunError(f"{path} has weights only, without the state of the optimizer; start a new run: --init {path}")
    return path


def _require_agreement(config: TrainConfig, environment: dict[str, Any], device: torch.device) -> None:
    """Refuse ranks that would not train the same run. Every rank must call it."""
    check_agreement(
        {
            **flatten(to_dict(config)),
            "code": code_hash(),
            "shards": environment["shards"]["fingerprint"],  # not their path, which may differ between nodes
            "form of operations": form_in_use(device),
            "arithmetic": environment["arithmetic"],
            "initial weights": environment.get("init", {}).get("sha256"),
        }
    )


def _create(config: TrainConfig, environment: dict[str, Any], shards: ShardSet) -> None:
    """Create the run folder, with the word vectors that a skip_gram model starts from."""
    if config.model.embedding == "skip_gram" and "init" not in environment:
        sha256 = write_vectors(Path(config.out), _train_split(shards, config), config.model.embedding_size)
        environment["word_vectors"] = {"file": VECTORS, "sha256": sha256}
    create_run(config, environment)


def _train_split(shards: ShardSet, config: TrainConfig) -> Split:
    split = shards.split("train")
    if config.data.fraction < 1:
        split = split.subset(chosen_performances(len(split), config.data.fraction, config.seed))
    return split


def _batches(shards: ShardSet, config: TrainConfig) -> Batches:
    return training_batches(
        _train_split(shards, config),
        order=config.data.order,
        excerpt_tokens=config.data.excerpt_tokens,
        global_batch=config.global_batch,
        seed=config.seed,
        transposed=config.data.transpose,
    )


def _resolved(config: TrainConfig, batches: Batches, device: torch.device) -> TrainConfig:
    """Replace the defaults that depend on the shards or the machine by their values, which a resumed run keeps."""
    tokens = horizon(config.optim, config.budget, batches.epoch_targets, batches.order.steps_per_epoch)
    precision = config.precision
    if precision == "auto":
        precision = "bf16" if has_native_bf16(device) else "fp32"
    return replace(config, precision=precision, optim=replace(config.optim, horizon_tokens=tokens))


def _same_settings(config: TrainConfig, started: Run, given: Collection[str] | None) -> TrainConfig:
    """Take the run's horizon, precision and origin, and refuse settings that change its result."""
    if started.config.init is not None:
        config = with_model(config, started.config.model, given)
        if config.init is None:
            config = replace(config, init=started.config.init, init_checkpoint=started.config.init_checkpoint)
    if config.precision == "auto":
        config = replace(config, precision=started.config.precision)
    if config.optim.horizon_tokens is None:
        config = replace(config, optim=replace(config.optim, horizon_tokens=started.config.optim.horizon_tokens))
    if config.resume == "never":
        raise RunError(f"{started.path} holds a run already; give another --out, or --resume auto to resume it")
    for name, now, then in differences(config, started.config):
        if name.partition(".")[0] in _MAY_CHANGE:
            continue
        raise SettingError(
            f"setting '{name}' is {now!r}, but the run in {started.path} was started with {then!r}; "
            "give that value to resume it, or another --out"
        )
    return config


def _require_same_shards(run: Run, shards: ShardSet) -> None:
    recorded = run.environment["shards"]
    if recorded["fingerprint"] != shards.fingerprint:
        raise RunError(
            f"the shards have fingerprint {shards.fingerprint[:12]}, but the run in {run.path} was started on "
            f"{recorded['fingerprint'][:12]} ({recorded['folder']}); give --shards that folder, or another --out"
        )


def _warn_of_other_rounding(run: Run, environment: dict[str, Any]) -> None:
    for name, again in (("operations", "ones, which round"), ("arithmetic", "arithmetic, which rounds")):
        then, now = (each.get(name) for each in (run.environment, environment))
        if then not in (None, now):
            console.print(
                f"[yellow]warning:[/] {run.path} was started with {then} {name} and is resumed with {now} {again} "
                "differently: the result will not be bit-identical to an uninterrupted run",
                soft_wrap=True,
            )


def _locked(path: Path) -> FileLock:
    try:
        return FileLock(path / ".lock", wait=False)
    except LockHeldError as error:
        raise RunError(f"{path} is in use by process {error.holder}; wait for it, or give another --out") from error
