"""The private interfaces of accelerate and DeepSpeed that pianogen relies on are still what they were."""

import inspect

import deepspeed.ops
from accelerate import Accelerator
from accelerate.utils import DeepSpeedPlugin, DistributedDataParallelKwargs

from pianogen.distributed.accelerate_internals import set_ddp_settings


def test_accelerate_passes_our_settings_to_ddp() -> None:
    accelerator = Accelerator(cpu=True)
    set_ddp_settings(accelerator)
    handler = accelerator.ddp_handler
    assert isinstance(handler, DistributedDataParallelKwargs)
    assert handler.to_kwargs() == {"forward_sync_buffers": False, "gradient_as_bucket_view": True}
    assert "self.ddp_handler.to_kwargs()" in inspect.getsource(Accelerator.prepare_model)


def test_accelerate_registers_its_deepspeed_plugin_in_the_method_that_we_override() -> None:
    assert "import" in inspect.getsource(DeepSpeedPlugin.set_deepspeed_weakref)


def test_deepspeed_looks_its_shared_memory_op_up_where_we_disable_it() -> None:
    assert "deepspeed_shm_comm" in deepspeed.ops.__compatible_ops__
