"""The mirror of run folders in MLflow; the only place that knows mlflow.

A run folder is the truth. Mirroring it is idempotent and may happen at any time: beside the training process, in a
process of its own that training never waits for, or afterwards with `pianogen track sync RUN`.
"""

from pianogen.track.following import is_on, mirroring
from pianogen.track.mirror import sync
from pianogen.track.store import default_store
from pianogen.track.ui import ui

__all__ = ["default_store", "is_on", "mirroring", "sync", "ui"]
