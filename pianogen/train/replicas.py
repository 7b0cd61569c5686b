"""How the ranks of one job share a model: data parallelism, or DeepSpeed's ZeRO with the same surface (`zero.py`).

Each rank back-propagates its own rows. Gradients are averaged over ranks, so that a loss must be multiplied by their
number to be a sum.
"""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from accelerate import Accelerator

from pianogen.config import OptimConfig
from pianogen.distributed.process_group import meet, wait_for_all
from pianogen.models import PianoModel
from pianogen.train.optim import build_optimizer, load_optimizer, optimizer_tensors

Tensors = Mapping[str, torch.Tensor]


class Replicas(Protocol):
    """What a trainer asks of them. Every rank must make every call."""

    model: torch.nn.Module
    """Called like the model that it was made of."""

    def micro_batch(self, *, last: bool) -> AbstractContextManager[Any]:
        """Hold the forward and backward pass of a micro-batch; `last` completes the gradients over all ranks."""
        ...

    def backward(self, loss: torch.Tensor) -> None:
        """Add a micro-batch's gradients to those of the step."""
        ...

    def update(self, lr: float) -> float:
        """Clip and step, unless the gradient is not finite; forget the gradients and return their norm."""
        ...

    def weights(self) -> dict[str, torch.Tensor]:
        """All weights by parameter name, on the CPU."""
        ...

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """Adam's moments and step counts as `MOMENT.PARAMETER`, on the CPU; empty before the first step."""
        ...

    def load_optimizer_state(self, tensors: Tensors) -> None:
        """Take up what `optimizer_state` gave, from any kind of replicas and any number of ranks."""
        ...

    def whole_model(self) -> PianoModel:
        """A model to look at, with the weights as they are now."""
        ...


class DataParallel:
    """A whole model and a whole optimizer on every rank; DDP adds up the gradients."""

    def __init__(self, model: PianoModel, config: OptimConfig, accelerator: Accelerator) -> None:
        self._bare, self._accelerator, self._clip_norm = model, accelerator, config.clip_norm
        self._optimizer = build_optimizer(model, config)
        wait_for_all(accelerator)  # DDP's own first exchange stops all of Python while it waits, the watch included
        meet()
        self.model, self._prepared = accelerator.prepare(model, self._optimizer)
        self._settle()

    def _settle(self) -> None:
        """Go through DDP's first backward pass now, with a gradient that nobody uses.

        After it DDP regroups the parameters, and with them the order in which the gradients of more than two ranks are
        added up: in a later life that must not happen after a step that an undisturbed run took long before.
        """
        logits, _ = self.model(torch.zeros(1, 1, dtype=torch.int64, device=self._accelerator.device), None)
        self.backward(logits.sum() * 0.0)
        self._prepared.zero_grad()

    def micro_batch(self, *, last: bool) -> AbstractContextManager[Any]:
        """See `Replicas.micro_batch`; ranks talk to each other once a step."""
        meet()  # before DDP's second forward pass the ranks agree on groups of parameters
        return nullcontext() if last else self._accelerator.no_sync(self.model)

    def backward(self, loss: torch.Tensor) -> None:
        """See `Replicas.backward`."""
        meet()
        self._accelerator.backward(loss)

    def update(self, lr: float) -> float:
        """See `Replicas.update`; the norm is the same on all ranks, so all of them skip alike."""
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        norm = float(torch.nn.utils.clip_grad_norm_(self._bare.parameters(), self._clip_norm))
        if math.isfinite(norm):
            self._prepared.step()
        self._prepared.zero_grad()
        return norm

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Replicas.weights`."""
        return {name: value.detach().cpu() for name, value in self._bare.state_dict().items()}

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """See `Replicas.optimizer_state`."""
        return optimizer_tensors(self._bare, self._optimizer)

    def load_optimizer_state(self, tensors: Tensors) -> None:
        """See `Replicas.load_optimizer_state`."""
        load_optimizer(self._bare, self._optimizer, dict(tensors))

    def whole_model(self) -> PianoModel:
        """See `Replicas.whole_model`."""
        return self._bare
