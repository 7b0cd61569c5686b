"""Starting trainers as processes of their own, as a user or a cluster would, but for the seconds that imports take."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml
from forked import LIMIT_S, TRAINER, popen, run

from pianogen.config import TrainConfig, to_dict

_MINE = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
ONE = (sys.executable, "-m", "pianogen.train")
TWO = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "pianogen.train")
ACCELERATE = (
    *(sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no"),
)


def environment() -> dict[str, str]:
    """This process's environment without what a launcher sets."""
    kept = {name: value for name, value in os.environ.items() if name not in _MINE}
    return {**kept, "OMP_NUM_THREADS": "1", "PIANOGEN_TRACK": "off"}


def command(launcher: tuple[str, ...], config: TrainConfig) -> list[str]:
    """The command line that trains `config`."""
    file = Path(config.out).with_suffix(".yaml")
    file.write_text(yaml.safe_dump(to_dict(config)))
    return [*launcher, "--config", str(file)]


def launch(
    launcher: tuple[str, ...], config: TrainConfig, *, forks: bool = True, modules: tuple[str, ...] = TRAINER
) -> subprocess.CompletedProcess[str]:
    """Run a trainer to its end, from a process that has loaded `modules`; without `forks`, from real starts."""
    if not forks:
        words = command(launcher, config)
        return subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=LIMIT_S)
    return run(command(launcher, config), env=environment(), modules=modules)


def start(launcher: tuple[str, ...], config: TrainConfig) -> "subprocess.Popen[str]":
    """Start a trainer in a process group of its own."""
    return popen(
        command(launcher, config),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def wait_for_step(config: TrainConfig, step: int, timeout_s: float = LIMIT_S) -> None:
    """Wait until the log of a run has reached a step."""
    log, end = Path(config.out) / "metrics.jsonl", time.monotonic() + timeout_s
    while not (log.exists() and f'{{"step": {step},' in log.read_text()):
        assert time.monotonic() < end, f"step {step} was not reached in {timeout_s} s"
        time.sleep(0.02)


def logged(config: TrainConfig, name: str) -> np.ndarray:
    """Every value of a metric that a run has logged, in order."""
    lines = map(json.loads, (Path(config.out) / "metrics.jsonl").read_text().splitlines())
    return np.array([line[name] for line in lines if name in line])


def losses(config: TrainConfig) -> np.ndarray:
    """The training loss of every step."""
    return logged(config, "train/loss")
