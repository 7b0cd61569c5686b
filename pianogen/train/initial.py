"""The weights that a run starts from, if they are those of another run: `--init`."""

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import torch

from pianogen.config import ModelConfig, TokenizerConfig, TrainConfig, differences
from pianogen.errors import RunError, SettingError
from pianogen.runs import PRETRAINED, CheckpointInfo, Run, data_of, local_run, open_run
from pianogen.storage import is_url

# what may differ from the initial weights' run, since no parameter depends on it
_FREE = ("dropout", "mask")


@dataclass(frozen=True)
class Initial:
    """A checkpoint of another run."""

    name: str
    run: Run
    checkpoint: CheckpointInfo
    model: ModelConfig
    weights: dict[str, torch.Tensor]

    @classmethod
    def open(cls, config: TrainConfig, tokenizer: TokenizerConfig) -> Self | None:
        """Open what `config.init` names; None if it names nothing.

        Raises:
            RunError, StorageError: It is not a run, has no such checkpoint, or is damaged.
            SettingError: It reads other tokens than those of the shards.
        """
        if config.init is None:
            return None
        run = open_run(local_run(config.init, config.init_checkpoint))
        _require_same_tokenizer(config, run.tokenizer, tokenizer)
        model, checkpoint = run.load_model(config.init_checkpoint)
        return cls(config.init, run, checkpoint, model.config, model.state_dict())

    def describe(self) -> dict[str, Any]:
        """What the environment of the new run says of its origin."""
        is_place = is_url(self.name) or self.name == PRETRAINED
        return {
            "run": self.name if is_place else str(Path(self.name).resolve()),
            "step": self.checkpoint.step,
            "sha256": self.checkpoint.sha256,
            "data": data_of(self.run),
        }

    def configure(self, config: TrainConfig, given: Collection[str] | None) -> TrainConfig:
        """Take the settings of the model that were not given; see `with_model`.

        Raises:
            SettingError: One that was given contradicts the weights.
        """
        config = with_model(config, self.model, given)
        for name, value, theirs in differences(config.model, self.model):
            if name not in _FREE:
                raise SettingError(
                    f"setting 'model.{name}' is {value!r}, but the weights of {self.name} have {theirs!r}; leave it "
                    "out to start from them, or leave out --init"
                )
        return config


def with_model(config: TrainConfig, model: ModelConfig, given: Collection[str] | None) -> TrainConfig:
    """Take from `model` the settings that are not in `given`, such as model.kind; None: that have their defaults."""
    if given is None:
        given = {f"model.{name}" for name, _, _ in differences(config.model, ModelConfig())}
    names = [field.name for field in fields(ModelConfig) if f"model.{field.name}" not in given]
    return replace(config, model=replace(config.model, **{name: getattr(model, name) for name in names}))


def _require_same_tokenizer(config: TrainConfig, wanted: TokenizerConfig, found: TokenizerConfig) -> None:
    for name, value, other in differences(wanted, found):
        raise SettingError(
            f"the shards in {config.shards} were made with {name} {other!r}, but {config.init} was trained with "
            f"{value!r}; make them again with pianogen shards ... --tokenizer.{name} {value}"
        )


def weights_again(run: Run, init: str | None, tokenizer: TokenizerConfig) -> dict[str, torch.Tensor] | None:
    """The initial weights of a run that was stopped before its first checkpoint; None if it has none.

    `init` is what this command names: a URL that only the run's files name is not followed.

    Raises:
        SettingError: They are at a URL, which must be given again.
        RunError: They are no longer those that the run was started from, or cannot be read.
    """
    if is_url(run.config.init or "") and init is None:
        raise SettingError(f"{run.path} has no checkpoint yet; to start it again, give --init {run.config.init}")
    initial = Initial.open(run.config, tokenizer)
    if initial is None:
        return None
    recorded = run.environment.get("init", {}).get("sha256")
    if initial.checkpoint.sha256 != recorded:
        raise RunError(
            f"{initial.checkpoint.path} is not what the run in {run.path} was started from, and it has no checkpoint "
            "yet; give another --out to start a new run"
        )
    return initial.weights
