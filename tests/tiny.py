"""Settings of a run that takes a second."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pianogen.config import (
    BudgetConfig,
    CheckpointConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
    ValidationConfig,
)


def tiny_config(shards: Path, out: Path, steps: int, **changes: Any) -> TrainConfig:
    """A run of some steps with 8 hidden units, in fp32 on every processor."""
    config = TrainConfig(
        shards=str(shards),
        out=str(out),
        seed=1,
        global_batch=4,
        precision="fp32",
        model=ModelConfig(kind="attn", hidden_size=8),
        data=DataConfig(excerpt_tokens=16),
        optim=OptimConfig(warmup_tokens=100, horizon_tokens=10_000),
        budget=BudgetConfig(steps=steps),
        validation=ValidationConfig(every_steps=4, slice_tokens=200, num_samples=1, sample_tokens=32),
        checkpoint=CheckpointConfig(every_steps=2, keep=3),
    )
    return replace(config, **changes)
