"""The optimizers of a model's parameters, and a learning rate that is a function of the targets seen."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import cast

import torch

from pianogen.config import BudgetConfig, OptimConfig
from pianogen.models import PianoModel
from pianogen.models.layer import RecurrentLayer
from pianogen.train.muon import Muon

_NOT_HIDDEN = ("embedding.weight", "decoder.weight")


def build_optimizers(model: torch.nn.Module, config: OptimConfig) -> list[torch.optim.Optimizer]:
    """Adam; or Muon for the matrices of hidden layers and Adam for the rest."""
    if config.kind == "adam":
        return [_adam(model.parameters(), config)]
    assert isinstance(model, PianoModel)
    matrices = hidden_matrices(model)
    by_gates: dict[int, list[torch.nn.Parameter]] = defaultdict(list)
    for name, gates in matrices.items():
        by_gates[gates].append(model.get_parameter(name))
    others = (value for name, value in model.named_parameters() if name not in matrices)
    return [_adam(others, config), Muon(by_gates, config.muon_lr, bf16=model.bf16)]


def _adam(parameters: Iterable[torch.nn.Parameter], config: OptimConfig) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=config.lr, betas=(config.beta1, config.beta2))


def hidden_matrices(model: PianoModel) -> dict[str, int]:
    """The number of gates that each matrix of the hidden layers stacks, 1 if it is no stack, by parameter name."""
    gates = cast("RecurrentLayer", model.layers[0]).gates_per_unit

    def stacked(name: str, rows: int) -> int:
        return gates if name.startswith(("layers.", "embedding.")) and rows == gates * model.config.hidden_size else 1

    return {
        name: stacked(name, len(value))
        for name, value in model.named_parameters()
        if value.dim() == 2 and name not in _NOT_HIDDEN
    }


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], config: OptimConfig, lr: float) -> None:
    """Give Adam the rate `lr`, and Muon its own rate at the same point of the schedule."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr * (config.muon_lr / config.lr) if isinstance(optimizer, Muon) else lr


def learning_rate(config: OptimConfig, tokens: int) -> float:
    """Rise linearly over `warmup_tokens`, then fall along a cosine to the final rate at the horizon, which must be set.

    Reference: Loshchilov & Hutter (2017), SGDR, without restarts.
    """
    if tokens < config.warmup_tokens:
        return config.lr * (tokens + 1) / (config.warmup_tokens + 1)
    assert config.horizon_tokens is not None
    progress = min(1.0, (tokens - config.warmup_tokens) / max(1, config.horizon_tokens - config.warmup_tokens))
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return config.lr * (config.final_lr_ratio + (1 - config.final_lr_ratio) * cosine)


def horizon(config: OptimConfig, budget: BudgetConfig, epoch_tokens: int, steps_per_epoch: int) -> int:
    """Targets at which the cosine ends: the setting, else the budget, else one epoch."""
    if config.horizon_tokens is not None:
        return config.horizon_tokens
    if budget.tokens is not None:
        return budget.tokens
    if budget.steps is not None:
        return math.ceil(budget.steps * epoch_tokens / steps_per_epoch)
    return epoch_tokens


def optimizer_tensors(model: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    """Moments and step counts by parameter name; empty before the first step."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for moment, value in _optimizer_of(parameter, optimizers).state.get(parameter, {}).items():
            tensors[f"{moment}.{name}"] = value.detach().cpu()
    return tensors


def load_optimizers(
    model: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer], tensors: dict[str, torch.Tensor]
) -> None:
    """Load the moments that `optimizer_tensors` returned."""
    for name, parameter in model.named_parameters():
        moments = {key.split(".", 1)[0]: value for key, value in tensors.items() if key.split(".", 1)[1] == name}
        _optimizer_of(parameter, optimizers).state[parameter] = {
            moment: value.clone() if moment == "step" else value.to(parameter.device).clone()
            for moment, value in moments.items()
        }


def _optimizer_of(parameter: torch.nn.Parameter, optimizers: Sequence[torch.optim.Optimizer]) -> torch.optim.Optimizer:
    groups = ((optimizer, group) for optimizer in optimizers for group in optimizer.param_groups)
    return next(optimizer for optimizer, group in groups if any(one is parameter for one in group["params"]))
