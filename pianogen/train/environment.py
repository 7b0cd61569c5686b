"""The environment of a run: versions, code, machines, shards."""

import math
import os
import platform
import socket
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import pianogen
from pianogen.config import to_dict
from pianogen.data import ShardSet
from pianogen.ops.arithmetic import arithmetic
from pianogen.ops.forms import form_in_use, instructions
from pianogen.storage import is_url

_PACKAGES = ("torch", "accelerate", "deepspeed", "numpy", "music21", "symusic", "webdataset", "mlflow")


def git_commit() -> str | None:
    """Name the commit of the code that runs, with `+` if the tree has changes; None outside a checkout."""
    here = Path(pianogen.__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def layout(world_size: int, environment: Mapping[str, str] = os.environ) -> dict[str, int]:
    """Numbers of ranks and machines, from the variables of the launcher or else Slurm."""
    ranks_per_node = environment.get("LOCAL_WORLD_SIZE")
    step_nodes = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
    num_nodes = math.ceil(world_size / int(ranks_per_node)) if ranks_per_node else min(step_nodes, world_size)
    return {"world_size": world_size, "num_nodes": num_nodes}


def describe(shards: ShardSet, folder: str, world_size: int, device: torch.device, *, bf16: bool) -> dict[str, Any]:
    """Collect the content of environment.json."""
    return {
        "time": time.time(),
        "pianogen": pianogen.__version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "host": socket.gethostname(),
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        **layout(world_size),
        "threads": torch.get_num_threads(),
        "operations": f"{form_in_use(device)} {instructions(device)}",
        "arithmetic": arithmetic(device, bf16=bf16),
        "shards": {
            "folder": folder if is_url(folder) else str(Path(folder).resolve()),
            "fingerprint": shards.fingerprint,
            "tokenizer": to_dict(shards.tokenizer),
            "source": shards.source,
        },
    }
