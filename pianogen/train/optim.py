"""Adam, and a learning rate that is a function of the targets seen."""

import math

import torch

from pianogen.config import BudgetConfig, OptimConfig


def build_optimizer(model: torch.nn.Module, config: OptimConfig) -> torch.optim.Adam:
    """Adam over all parameters."""
    return torch.optim.Adam(model.parameters(), lr=config.lr, betas=(config.beta1, config.beta2))


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


def optimizer_tensors(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Adam's moments and step counts by parameter name; empty before the first step."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for moment, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{moment}.{name}"] = value.detach().cpu()
    return tensors


def load_optimizer(model: torch.nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Load the moments that `optimizer_tensors` returned."""
    for name, parameter in model.named_parameters():
        moments = {key.split(".", 1)[0]: value for key, value in tensors.items() if key.split(".", 1)[1] == name}
        optimizer.state[parameter] = {
            moment: value.clone() if moment == "step" else value.to(parameter.device).clone()
            for moment, value in moments.items()
        }
