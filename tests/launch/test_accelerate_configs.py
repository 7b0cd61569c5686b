"""configs/accelerate/*.yaml are understood by the installed accelerate, and start as many ranks as they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs/accelerate").glob("*.yaml"))
ADDING = Path(__file__).with_name("ranks_that_add.py")


def launch(config: str, *options: str) -> list[str]:
    """Lines of the ranks, sorted."""
    file = ROOT / "configs/accelerate" / config
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", file, *options, ADDING]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return sorted(done.stdout.splitlines())


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_accelerate_knows_every_setting(file: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    loaded = load_config_from_file(str(file)).to_dict()  # raises for an unknown setting
    for name, value in yaml.safe_load(file.read_text()).items():
        assert str(loaded[name]) == str(value)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_the_ranks_can_be_divided_among_the_machines(file: Path) -> None:
    config = yaml.safe_load(file.read_text())
    assert config["num_processes"] % config["num_machines"] == 0


@pytest.mark.slow
def test_one_machine_runs_the_ranks_that_its_config_names() -> None:
    assert launch("cpu.yaml") == ["rank 0 of 2 total 3", "rank 1 of 2 total 3"]
