"""The run folder: all files of one training run.

RUN/
  config.yaml        every setting, resolved; `pianogen train --config` takes it
  environment.json   versions, git commit, host, and which shards were read
  metrics.jsonl      one line per step, and one line per validation
  checkpoints/       see `pianogen.runs.checkpoint`; best.json names the one with the lowest validation loss
  samples/           pieces generated at each validation
  evaluation/        results of `pianogen evaluate`
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pianogen.config import ModelConfig, TokenizerConfig, TrainConfig, from_dict, to_dict
from pianogen.errors import RunError, SettingError
from pianogen.files import write_atomic, write_json
from pianogen.runs.checkpoint import (
    CheckpointInfo,
    list_checkpoints,
    load_tensors,
    read_best,
    require_readable,
    step_folder,
    step_of,
    verify_checkpoint,
)

if TYPE_CHECKING:
    from pianogen.models import PianoModel


EXPORTED = "exported"  # in environment.json of an export: step and sha256 of the run's own checkpoint


@dataclass(frozen=True)
class Run:
    """A run folder and its settings."""

    path: Path
    config: TrainConfig
    fetched_checkpoint: str | None = None
    """The only checkpoint of a run fetched from object storage; None: the folder holds all that there are."""

    @property
    def metrics_file(self) -> Path:
        """One JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    def step_folder(self, step: int) -> Path:
        """Path of the checkpoint of a step; it need not exist."""
        return step_folder(self.checkpoints, step)

    @property
    def environment(self) -> dict[str, Any]:
        """The environment that the run was started in.

        Raises:
            RunError: environment.json is missing or damaged.
        """
        file = self.path / "environment.json"
        try:
            found = json.loads(file.read_text())
            if not isinstance(found["shards"]["tokenizer"], dict):
                raise TypeError("no settings of a tokenizer")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{file} cannot be read: {error}; without it {self.path} is not a complete run") from error
        return found

    @property
    def is_exported(self) -> bool:
        """Whether `pianogen export` wrote it: weights without the state of their training."""
        return EXPORTED in self.environment

    @property
    def tokenizer(self) -> TokenizerConfig:
        """The tokenizer's settings that the run's shards were made with."""
        return from_dict(TokenizerConfig, self.environment["shards"]["tokenizer"])

    def find_checkpoint(self, name: str) -> Path:
        """Find `best`, `last`, or a step number.

        Raises:
            RunError: It does not exist.
        """
        paths = {step_of(path): path for path in list_checkpoints(self.checkpoints)}
        if not paths:
            raise RunError(f"{self.path} has no checkpoint yet; pianogen train resumes it")
        wanted = read_best(self.checkpoints) if name == "best" else name
        if name == "last" or wanted is None:
            return next(iter(paths.values()))
        if str(wanted).isdecimal() and int(wanted) in paths:
            return paths[int(wanted)]
        which = f"{name!r}" + (f" (step {wanted})" if name == "best" else "")
        steps = ", ".join(map(str, paths))
        raise RunError(f"{self.path} has no checkpoint {which}; use --checkpoint last, or one of the steps {steps}")

    def load_model(self, checkpoint: str = "best") -> "tuple[PianoModel, CheckpointInfo]":
        """Load the weights of a checkpoint, after checking every hash.

        Raises:
            RunError: The checkpoint is missing, damaged or of an unknown format.
        """
        from pianogen.models import build_model

        path = self.find_checkpoint(checkpoint)
        try:
            training = verify_checkpoint(path)
        except RunError as error:
            raise RunError(f"{error}; choose another --checkpoint, or run pianogen train to write it again") from error
        require_readable(path, training)
        model = build_model(from_dict(ModelConfig, training["model"]))
        model.load_state_dict(load_tensors(path, "model"))
        model.eval()
        sha256 = json.loads((path / "manifest.json").read_text())["model.safetensors"]["sha256"]
        return model, CheckpointInfo(step=training["step"], sha256=sha256, path=path)


def open_run(path: Path | str) -> Run:
    """Open a run folder that exists.

    Raises:
        RunError: It is missing or is not a run folder.
        SettingError: It has a setting that this version or the installed plugins do not know.
    """
    path = Path(path)
    file = path / "config.yaml"
    if not file.exists():
        raise RunError(f"{path} is not a run folder: it has no config.yaml; pianogen train --out creates one")
    try:
        return Run(path, from_dict(TrainConfig, yaml.safe_load(file.read_text())))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise RunError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
    except SettingError as error:
        raise SettingError(f"{file}: {error}") from error


def create_run(config: TrainConfig, environment: dict[str, Any]) -> Run:
    """Create a run folder and record its settings."""
    path = Path(config.out)
    path.mkdir(parents=True, exist_ok=True)
    (path / "checkpoints").mkdir(exist_ok=True)
    write_json(path / "environment.json", environment)
    record_config(path, config)
    return Run(path, config)


def record_config(path: Path, config: TrainConfig) -> None:
    """Write config.yaml: the settings of this attempt."""
    write_atomic(path / "config.yaml", yaml.safe_dump(to_dict(config), sort_keys=False))
