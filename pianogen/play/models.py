"""The models that a page offers."""

from dataclasses import dataclass
from typing import Any

from pianogen.config import Mask, PlayConfig, TokenizerConfig
from pianogen.errors import SettingError
from pianogen.generation.job import device_of
from pianogen.generation.prompt import Prompt
from pianogen.models import PianoModel
from pianogen.runs import PRETRAINED, local_run, open_run


@dataclass(frozen=True, eq=False)
class PlayModel:
    """A model in memory, and how its run made tokens."""

    name: str
    model: PianoModel
    mask: Mask
    tokenizer: TokenizerConfig
    step: int
    """Of the checkpoint."""
    sha256: str
    """Of the checkpoint's weights."""

    def describe(self) -> dict[str, Any]:
        """What a visitor is told about it."""
        config, spq = self.model.config, self.tokenizer.steps_per_quarter
        layers = f"{config.num_layers} layer{'s' if config.num_layers > 1 else ''} of {config.hidden_size} units"
        ships = "the model that ships with pianogen: " if self.name == PRETRAINED else ""
        return {
            "name": self.name,
            "kind": config.kind,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "steps_per_quarter": spq,
            "bar_steps": Prompt(steps_per_quarter=spq).bar_steps,
            "description": f"{ships}{config.kind}, {layers}, after {self.step:,} steps of training",
        }


def load_models(config: PlayConfig) -> dict[str, PlayModel]:
    """Load every model, in the order of the settings.

    Raises:
        RunError, StorageError: A run or its checkpoint is missing or damaged.
        SettingError: Two runs have the same name.
    """
    models: dict[str, PlayModel] = {}
    for path in [local_run(name, config.checkpoint) for name in config.models]:
        name = path.resolve().name
        if name in models:
            raise SettingError(f"two models are called {name!r}; visitors could not tell them apart; rename a folder")
        run = open_run(path)
        model, checkpoint = run.load_model(config.checkpoint)
        model.to(device_of(config.device))
        models[name] = PlayModel(name, model, run.config.model.mask, run.tokenizer, checkpoint.step, checkpoint.sha256)
    return models
