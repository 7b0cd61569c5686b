"""Private interfaces of DeepSpeed and accelerate's plugin, which tests/train/test_private_interfaces.py checks."""

from accelerate.utils import DeepSpeedPlugin


class Plugin(DeepSpeedPlugin):
    """accelerate's plugin without its dependency on transformers, which it imports to register itself there."""

    def set_deepspeed_weakref(self) -> None:
        """Do not register."""


def leave_out_shared_memory() -> None:
    """Keep DeepSpeed from compiling its shared-memory collectives, which training over gloo never uses.

    The build takes a minute, and a killed build leaves a lock on which every later run waits forever.
    """
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
