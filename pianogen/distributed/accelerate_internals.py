"""accelerate's private interfaces, which tests/train/test_private_interfaces.py checks."""

from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs


class _DdpSettings(DistributedDataParallelKwargs):
    """DDP's arguments; accelerate's own class passes one that torch deprecates instead of `forward_sync_buffers`."""

    def to_kwargs(self) -> dict[str, Any]:
        """Arguments of DistributedDataParallel: no buffer ever changes, so none is broadcast."""
        return {"forward_sync_buffers": False, "gradient_as_bucket_view": True}


def set_ddp_settings(accelerator: Accelerator) -> None:
    """Set the attribute that `Accelerator.prepare` reads; as a handler, accelerate accepts its own class only."""
    setattr(accelerator, "ddp_handler", _DdpSettings())  # noqa: B010 - accelerate declares it as None
