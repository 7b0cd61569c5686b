"""Run folders and checkpoints: reading and writing what a training run leaves behind."""

from pianogen.runs.checkpoint import CheckpointInfo
from pianogen.runs.fetching import local_run
from pianogen.runs.origin import data_of
from pianogen.runs.pretrained import PRETRAINED, writable
from pianogen.runs.run import Run, create_run, open_run, record_config
from pianogen.runs.storing import Stored, store_runs

__all__ = [
    "PRETRAINED",
    "CheckpointInfo",
    "Run",
    "Stored",
    "create_run",
    "data_of",
    "local_run",
    "open_run",
    "record_config",
    "store_runs",
    "writable",
]
