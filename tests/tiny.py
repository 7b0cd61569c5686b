"""Settings of a run that takes a second."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pianogen.config import (
    BudgetConfig,
    CheckpointConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
    ValidationConfig,
)
from pianogen.tokens.notes import Notes, canonical

# a picture of a sample takes longer than the rest of a tiny run, so only tests of what samples may change make some
WITH_SAMPLES = ValidationConfig(every_steps=4, slice_tokens=200, num_samples=1, sample_tokens=32)


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
        validation=replace(WITH_SAMPLES, num_samples=0),
        checkpoint=CheckpointConfig(every_steps=2, keep=3),
        rank_timeout_s=300,  # less than a test waits, so that a rank that hangs is named
    )
    return replace(config, **changes)


def random_notes(seed: int, num_notes: int = 60) -> Notes:
    """A synthetic performance: a random walk of the pitch, so that there is something to learn."""
    random = np.random.default_rng(seed)
    onset = np.cumsum(random.choice([0, 1, 2, 4], num_notes))
    pitch = 60 + np.cumsum(random.integers(-2, 3, num_notes)) % 24
    return canonical(onset, random.choice([1, 2, 4], num_notes), pitch)
