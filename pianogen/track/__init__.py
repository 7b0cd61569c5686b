"""The mirror of run folders in MLflow; the only package that uses mlflow.

The run folder is authoritative. Mirroring it is idempotent and possible at any time: during training, in a process that
training never waits for, or afterwards with `pianogen track sync RUN`.
"""

from pianogen.track.following import is_on, mirroring
from pianogen.track.mirror import sync, sync_or_warn
from pianogen.track.store import default_store
from pianogen.track.ui import ui

__all__ = ["default_store", "is_on", "mirroring", "sync", "sync_or_warn", "ui"]
