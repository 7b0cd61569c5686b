"""What a run was made with: versions, code, machine, shards."""

import os
import platform
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import pianogen
from pianogen.config import to_dict
from pianogen.data import ShardSet

_PACKAGES = ("torch", "accelerate", "deepspeed", "numpy", "music21", "symusic", "webdataset", "mlflow")


def git_commit() -> str | None:
    """Name the commit of the code that runs, with `+` where the tree has changes; none outside a checkout."""
    here = Path(pianogen.__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def describe(shards: ShardSet, folder: str, world_size: int) -> dict[str, Any]:
    """Collect it, ready for environment.json."""
    return {
        "pianogen": pianogen.__version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "host": socket.gethostname(),
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "world_size": world_size,
        "threads": torch.get_num_threads(),
        "shards": {
            "folder": str(Path(folder).resolve()),
            "fingerprint": shards.fingerprint,
            "tokenizer": to_dict(shards.tokenizer),
        },
    }
