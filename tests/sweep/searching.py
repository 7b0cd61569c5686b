"""Small sweeps: a space file, and one worker in this process or several of their own."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from forked import popen

from pianogen.config import ModelConfig, SweepConfig, TrainConfig, to_dict
from pianogen.sweep import sweep

LEARNING_RATES = {"optim": {"lr": {"low": 1.0e-3, "high": 1.0e-1, "log": True}}}


def small(config: TrainConfig) -> TrainConfig:
    """A run that plays nothing and takes a fraction of a second."""
    return replace(
        config,
        model=ModelConfig(kind="rnn", hidden_size=4),
        validation=replace(config.validation, every_steps=1, slice_tokens=100, num_samples=0),
    )


def space_file(folder: Path, content: Any) -> Path:
    """Write a space file."""
    file = folder / "space.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return file


def search(config: TrainConfig, space: Any, **settings: Any) -> Path:
    """Run a sweep's worker to its end in this process; return the sweep's folder."""
    sweep(space_file(Path(config.out).parent, space), config, SweepConfig(**settings))
    return Path(config.out)


def start_worker(config: TrainConfig, space: Any, *flags: str) -> "subprocess.Popen[str]":
    """Start a worker as a user would."""
    file = Path(config.out).with_suffix(".base.yaml")
    if not file.exists():  # the other workers read it
        file.write_text(yaml.safe_dump(to_dict(config)))
        space_file(Path(config.out).parent, space)
    command = [sys.executable, "-m", "pianogen", "sweep", str(Path(config.out).parent / "space.yaml")]
    return popen([*command, "--config", str(file), *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The lines of trials.csv."""
    import csv

    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))
