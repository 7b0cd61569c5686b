"""Run folders and checkpoints: reading and writing what a training run leaves behind."""

from pianogen.runs.checkpoint import CheckpointInfo
from pianogen.runs.run import Run, create_run, open_run, record_config

__all__ = ["CheckpointInfo", "Run", "create_run", "open_run", "record_config"]
