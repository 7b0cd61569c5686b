"""A run folder with one checkpoint of untrained weights."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pianogen.config import ModelConfig, TokenizerConfig, TrainConfig, to_dict
from pianogen.data import open_shards
from pianogen.models import build_model
from pianogen.runs import create_run
from pianogen.runs.checkpoint import write_checkpoint


def make_run(path: Path, kind: str = "attn", seed: int = 0, shards: Path | None = None) -> Path:
    """Write a run of 8 hidden units at `path`, as if trained on `shards`, and return it."""
    config = TrainConfig(out=str(path), model=ModelConfig(kind=kind, hidden_size=8))
    torch.manual_seed(seed)
    state = {"model": build_model(config.model).state_dict()}
    nowhere = {"fingerprint": "0" * 64, "tokenizer": asdict(TokenizerConfig())}
    run = create_run(config, {"git_commit": None, "shards": _record(shards) if shards else nowhere})
    write_checkpoint(run.checkpoints, 1, state, {"step": 1, "model": to_dict(config.model)})
    return path


def _record(folder: Path) -> dict[str, Any]:
    opened = open_shards(folder)
    return {"folder": str(folder), "fingerprint": opened.fingerprint, "tokenizer": asdict(opened.tokenizer)}
