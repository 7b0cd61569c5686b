"""DeepSpeed's ZeRO 1, 2 and 3 with the surface of `replicas`; any stage takes up the checkpoint of any other.

Optimizer state, gradients and (in stage 3) weights lie in pieces on the ranks. accelerate makes the engine; its own
`backward` would also step, so backward and step go to the engine, and a gradient that is not finite can be left out.
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
from accelerate.utils import DeepSpeedPlugin

from pianogen.config import ModelConfig, OptimConfig
from pianogen.distributed.process_group import meet, wait_for_all
from pianogen.errors import RunError, SettingError
from pianogen.models import PianoModel, build_model
from pianogen.train.optim import build_optimizer

Tensors = Mapping[str, torch.Tensor]
_MOMENTS = ("exp_avg", "exp_avg_sq")
# these follow from the run's settings, and a second value beside them could only contradict
_OURS = (
    "optimizer",
    "scheduler",
    "gradient_clipping",
    "gradient_accumulation_steps",
    "train_batch_size",
    "fp16",
    "bf16",
)


class Plugin(DeepSpeedPlugin):
    """accelerate's plugin without its need of the transformers package, which it asks for to tell its trainer of us."""

    def set_deepspeed_weakref(self) -> None:
        """Tell nobody."""


def read_stage(path: str) -> dict[str, Any]:
    """Read a DeepSpeed configuration file.

    Raises:
        SettingError: It is missing, no JSON, has no ZeRO stage from 1 to 3, or says what the run's settings say.
    """
    try:
        content = json.loads(Path(path).read_text())
        stage = content["zero_optimization"]["stage"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"--deepspeed {path} is no DeepSpeed file with zero_optimization.stage: {error!r}"
        ) from error
    if stage not in (1, 2, 3):
        raise SettingError(
            f"--deepspeed {path} asks for ZeRO stage {stage!r}; 1, 2 and 3 work, and without the flag it is DDP"
        )
    for name in _OURS:
        if name in content:
            raise SettingError(
                f"--deepspeed {path} sets '{name}', which follows from the run's own settings; remove it there"
            )
    return content


def make_plugin(path: str, clip_norm: float) -> Plugin:
    """The plugin that makes accelerate use DeepSpeed in the stage that a file names."""
    # before deepspeed is imported: it picks its accelerator once
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
        _leave_out_shared_memory()
    _stand_alone(os.environ)
    config = {
        **copy.deepcopy(read_stage(path)),
        "train_micro_batch_size_per_gpu": 1,  # we count rows ourselves; DeepSpeed only logs with it
        "gradient_accumulation_steps": 1,  # the boundary is set by hand, and nothing is divided
        "gradient_clipping": clip_norm,
        "steps_per_print": 1_000_000_000,
    }
    return Plugin(hf_ds_config=config)


def _leave_out_shared_memory() -> None:
    """Keep DeepSpeed from compiling its shared-memory collectives, which training over gloo never uses.

    The build takes a minute, and one that is killed leaves a lock behind on which every later run waits for ever.
    """
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _stand_alone(environment: Any) -> None:
    """Without a launcher, be the only rank: DeepSpeed, unlike DDP, wants a process group even then."""
    if "WORLD_SIZE" not in environment:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        environment.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)


class Zero:
    """A model whose training state is spread over the ranks."""

    def __init__(self, model: PianoModel, config: OptimConfig, accelerator: Accelerator) -> None:
        self._settings: ModelConfig = model.config
        self._bf16 = model.bf16
        optimizer = build_optimizer(model, config)
        self._adam: torch.optim.Adam = optimizer
        wait_for_all(accelerator)
        meet()
        self.model, _ = accelerator.prepare(model, optimizer)
        self._engine: Any = self.model

    def micro_batch(self, *, last: bool) -> AbstractContextManager[Any]:
        """See `Replicas.micro_batch`."""
        meet()  # stage 3 gathers weights in the forward pass
        self._engine.set_gradient_accumulation_boundary(is_boundary=last)
        return nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        """See `Replicas.backward`."""
        meet()
        self._engine.backward(loss)

    def update(self, lr: float) -> float:
        """See `Replicas.update`."""
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        meet()
        self._engine.step()
        norm = float(self._engine.get_global_grad_norm() or 0.0)
        if not math.isfinite(norm):
            raise RunError(
                "the gradient was not finite, and ZeRO has stepped with it; lower optim.lr and resume from the last "
                "checkpoint (without --deepspeed such a step is left out)"
            )
        return norm

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Replicas.weights`."""
        from deepspeed.utils import safe_get_full_fp32_param

        meet()
        return {name: _whole(safe_get_full_fp32_param(value)) for name, value in self._parameters()}

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """See `Replicas.optimizer_state`."""
        from deepspeed.utils import safe_get_full_optimizer_state

        meet()
        steps = self._steps()
        if not steps:
            return {}
        tensors = {f"step.{name}": steps[0].detach().clone().cpu() for name, _ in self._parameters()}
        for name, parameter in self._parameters():
            tensors |= {f"{m}.{name}": _whole(safe_get_full_optimizer_state(parameter, m)) for m in _MOMENTS}
        return tensors

    def load_optimizer_state(self, tensors: Tensors) -> None:
        """See `Replicas.load_optimizer_state`."""
        from deepspeed.utils import safe_set_full_optimizer_state

        if not tensors:
            return
        self._make_states()
        meet()
        for name, parameter in self._parameters():
            for moment in _MOMENTS:
                safe_set_full_optimizer_state(parameter, tensors[f"{moment}.{name}"], moment)
        taken = next(value for name, value in tensors.items() if name.startswith("step."))
        for step in self._steps():
            step.fill_(float(taken))

    def whole_model(self) -> PianoModel:
        """See `Replicas.whole_model`; a copy, since the engine's own weights may lie in pieces."""
        weights = self.weights()
        model = build_model(self._settings).precision("bf16" if self._bf16 else "fp32")
        model.load_state_dict(weights)
        return model.to(self._engine.device)

    def _parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        return list(self._engine.module.named_parameters())

    def _steps(self) -> list[torch.Tensor]:
        """Adam's step counter of each piece that this rank holds."""
        return [state["step"] for state in self._adam.state.values() if "step" in state]

    def _make_states(self) -> None:
        """Let Adam make its moments, with one update that changes nothing: no gradient, and a rate of 0."""
        if self._steps():
            return
        with self.micro_batch(last=True):
            logits, _ = self.model(torch.zeros(1, 1, dtype=torch.int64, device=self._engine.device), None)
            self.backward(logits.sum() * 0.0)
        self.update(0.0)


def _whole(value: torch.Tensor | None) -> torch.Tensor:
    assert value is not None  # DeepSpeed has it for every parameter that is trained
    return value.detach().clone().cpu()
