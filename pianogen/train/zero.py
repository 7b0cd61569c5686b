"""DeepSpeed's ZeRO 1, 2 and 3 with the interface of `replicas`; any stage loads the checkpoint of any other.

Optimizer state, gradients and (in stage 3) weights are partitioned over the ranks. accelerate makes the engine; its own
`backward` would also step, so the engine's backward and step are called here.
"""

import copy
import json
import math
import os
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from pianogen.config import ModelConfig, OptimConfig
from pianogen.distributed.heartbeat import record_collective
from pianogen.errors import RunError, SettingError
from pianogen.models import PianoModel, build_model
from pianogen.train.deepspeed_internals import Plugin, leave_out_shared_memory
from pianogen.train.optim import build_optimizers

Tensors = Mapping[str, torch.Tensor]
_MOMENTS = ("exp_avg", "exp_avg_sq")
# these follow from the run's settings
_SET_BY_RUN = (
    "optimizer",
    "scheduler",
    "gradient_clipping",
    "gradient_accumulation_steps",
    "train_batch_size",
    "fp16",
    "bf16",
)


def read_stage(path: str) -> dict[str, Any]:
    """Read a DeepSpeed configuration file.

    Raises:
        SettingError: It is missing or damaged, has no ZeRO stage from 1 to 3, or sets what the run sets.
    """
    try:
        content = json.loads(Path(path).read_text())
        stage = content["zero_optimization"]["stage"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"--deepspeed {path} is not a DeepSpeed file with zero_optimization.stage: {error!r}"
        ) from error
    if stage not in (1, 2, 3):
        raise SettingError(
            f"--deepspeed {path} asks for ZeRO stage {stage!r}; use 1, 2 or 3, or leave --deepspeed out to use DDP"
        )
    for name in _SET_BY_RUN:
        if name in content:
            raise SettingError(
                f"--deepspeed {path} sets '{name}', which follows from the run's own settings; remove it there"
            )
    return content


def make_plugin(path: str, clip_norm: float) -> Plugin:
    """The plugin that makes accelerate use DeepSpeed in the stage that a file names."""
    # before the import of deepspeed, which chooses its accelerator then
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
        leave_out_shared_memory()
    _set_single_rank(os.environ)
    config = {
        **copy.deepcopy(read_stage(path)),
        "train_micro_batch_size_per_gpu": 1,  # only used in DeepSpeed's log
        "gradient_accumulation_steps": 1,  # `micro_batch` sets the boundary
        "gradient_clipping": clip_norm,
        "steps_per_print": 1_000_000_000,
    }
    return Plugin(hf_ds_config=config)


def _set_single_rank(environment: Any) -> None:
    """Without a launcher, describe a job of one rank: DeepSpeed, unlike DDP, needs a process group even then."""
    if "WORLD_SIZE" not in environment:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        environment.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)


class Zero:
    """A model whose training state is partitioned over the ranks."""

    def __init__(self, model: PianoModel, config: OptimConfig, accelerator: Accelerator) -> None:
        self._settings: ModelConfig = model.config
        self._bf16 = model.bf16
        (optimizer,) = build_optimizers(model, config)
        self._adam = optimizer
        record_collective()
        self.model, _ = accelerator.prepare(model, optimizer)
        self._engine: Any = self.model

    def micro_batch(self, *, last: bool) -> AbstractContextManager[Any]:
        """See `Replicas.micro_batch`."""
        record_collective()  # stage 3 gathers weights in the forward pass
        self._engine.set_gradient_accumulation_boundary(is_boundary=last)
        return nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        """See `Replicas.backward`."""
        record_collective()
        self._engine.backward(loss)

    def update(self, lr: float) -> float:
        """See `Replicas.update`."""
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        record_collective()
        self._engine.step()
        norm = float(self._engine.get_global_grad_norm() or 0.0)
        if not math.isfinite(norm):
            raise RunError(
                "the gradient was not finite, and ZeRO has stepped with it; lower optim.lr and resume from the last "
                "checkpoint (without --deepspeed such a step is skipped)"
            )
        return norm

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Replicas.weights`."""
        from deepspeed.utils import safe_get_full_fp32_param

        record_collective()
        kept = self._engine.module.state_dict()  # which stage 3 leaves without values of parameters
        buffers = {name: _full(value) for name, value in self._engine.module.named_buffers() if name in kept}
        return {name: _full(safe_get_full_fp32_param(value)) for name, value in self._parameters()} | buffers

    def current_weights(self) -> Tensors:
        """See `Replicas.current_weights`; they are gathered, parameter by parameter."""
        return self.weights()

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """See `Replicas.optimizer_state`."""
        from deepspeed.utils import safe_get_full_optimizer_state

        record_collective()
        steps = self._steps()
        if not steps:
            return {}
        tensors = {f"step.{name}": steps[0].detach().clone().cpu() for name, _ in self._parameters()}
        for name, parameter in self._parameters():
            tensors |= {f"{m}.{name}": _full(safe_get_full_optimizer_state(parameter, m)) for m in _MOMENTS}
        return tensors

    def load_optimizer_state(self, tensors: Tensors) -> None:
        """See `Replicas.load_optimizer_state`."""
        from deepspeed.utils import safe_set_full_optimizer_state

        if not tensors:
            return
        self._initialize_moments()
        record_collective()
        for name, parameter in self._parameters():
            for moment in _MOMENTS:
                safe_set_full_optimizer_state(parameter, tensors[f"{moment}.{name}"], moment)
        taken = next(value for name, value in tensors.items() if name.startswith("step."))
        for step in self._steps():
            step.fill_(float(taken))

    def whole_model(self) -> PianoModel:
        """See `Replicas.whole_model`; a copy, since the engine's own weights may be partitioned."""
        weights = self.weights()
        model = build_model(self._settings).with_bf16(self._bf16)
        model.load_state_dict(weights)
        return model.to(self._engine.device)

    def _parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        return list(self._engine.module.named_parameters())

    def _steps(self) -> list[torch.Tensor]:
        """Adam's step counter of each piece that this rank holds."""
        return [state["step"] for state in self._adam.state.values() if "step" in state]

    def _initialize_moments(self) -> None:
        """Make Adam create its moments by an update without effect: zero gradient and zero learning rate."""
        if self._steps():
            return
        with self.micro_batch(last=True):
            logits, _ = self.model(torch.zeros(1, 1, dtype=torch.int64, device=self._engine.device), None)
            self.backward(logits.sum() * 0.0)
        self.update(0.0)


def _full(value: torch.Tensor | None) -> torch.Tensor:
    assert value is not None  # DeepSpeed returns it for every trained parameter
    return value.detach().clone().cpu()
