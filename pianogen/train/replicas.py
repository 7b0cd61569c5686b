"""How the ranks of one job share a model: data parallelism, or DeepSpeed's ZeRO with the same surface (`zero.py`).

Each rank back-propagates its own rows. Gradients are averaged over ranks, so a loss is multiplied by their number to
get a sum.
"""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from accelerate import Accelerator

from pianogen.config import OptimConfig
from pianogen.distributed.heartbeat import record_collective
from pianogen.models import PianoModel
from pianogen.train.optim import build_optimizers, load_optimizers, optimizer_tensors, set_learning_rate

Tensors = Mapping[str, torch.Tensor]


class Replicas(Protocol):
    """The interface that the trainer uses. Every rank must make every call."""

    model: torch.nn.Module
    """Called like the original model."""

    def micro_batch(self, *, last: bool) -> AbstractContextManager[Any]:
        """Context of the forward and backward pass of a micro-batch; `last` reduces gradients over the ranks."""
        ...

    def backward(self, loss: torch.Tensor) -> None:
        """Add a micro-batch's gradients to those of the step."""
        ...

    def update(self, lr: float) -> float:
        """Clip and step, unless the gradient is not finite; zero the gradients and return their norm."""
        ...

    def weights(self) -> dict[str, torch.Tensor]:
        """All weights by parameter name, on the CPU."""
        ...

    def current_weights(self) -> Tensors:
        """All weights by parameter name, on any device; they may change with the next step."""
        ...

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """Moments and step counts as `MOMENT.PARAMETER`, on the CPU; empty before the first step."""
        ...

    def load_optimizer_state(self, tensors: Tensors) -> None:
        """Load what `optimizer_state` returned, with any kind of replicas and any number of ranks."""
        ...

    def whole_model(self) -> PianoModel:
        """A model with all current weights."""
        ...


class DataParallel:
    """A full model and optimizer on every rank; DDP reduces the gradients."""

    def __init__(self, model: PianoModel, config: OptimConfig, accelerator: Accelerator) -> None:
        self._bare, self._accelerator, self._config = model, accelerator, config
        self._optimizers = build_optimizers(model, config)
        record_collective()
        self.model = accelerator.prepare(model)  # its wrapper of optimizers, for fp16, looks for packages in every step
        self._rebuild_buckets()

    def _rebuild_buckets(self) -> None:
        """Do DDP's first backward pass now, with a gradient that is not used.

        After it DDP rebuilds its buckets, which changes the order in which gradients of more than two ranks are summed.
        In a resumed run that must not happen after a step that an undisturbed run took with the rebuilt buckets.
        """
        logits, _ = self.model(torch.zeros(1, 1, dtype=torch.int64, device=self._accelerator.device), None)
        self.backward(logits.sum() * 0.0)
        self._bare.zero_grad()

    def micro_batch(self, *, last: bool) -> AbstractContextManager[Any]:
        """See `Replicas.micro_batch`; gradients are reduced once per step."""
        record_collective()  # DDP synchronizes its buckets before the second forward pass
        return nullcontext() if last else self._accelerator.no_sync(self.model)

    def backward(self, loss: torch.Tensor) -> None:
        """See `Replicas.backward`."""
        record_collective()
        self._accelerator.backward(loss)

    def update(self, lr: float) -> float:
        """See `Replicas.update`; the norm is the same on all ranks, so all of them skip the step."""
        set_learning_rate(self._optimizers, self._config, lr)
        norm = float(torch.nn.utils.clip_grad_norm_(self._bare.parameters(), self._config.clip_norm))
        if math.isfinite(norm):
            for optimizer in self._optimizers:
                optimizer.step()
        self._bare.zero_grad()
        return norm

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Replicas.weights`."""
        return {name: value.detach().cpu() for name, value in self._bare.state_dict().items()}

    def current_weights(self) -> Tensors:
        """See `Replicas.current_weights`."""
        return self._bare.state_dict()

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """See `Replicas.optimizer_state`."""
        return optimizer_tensors(self._bare, self._optimizers)

    def load_optimizer_state(self, tensors: Tensors) -> None:
        """See `Replicas.load_optimizer_state`."""
        load_optimizers(self._bare, self._optimizers, dict(tensors))

    def whole_model(self) -> PianoModel:
        """See `Replicas.whole_model`."""
        return self._bare
