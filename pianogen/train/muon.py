"""Muon: steps of momentum whose singular values are all made about 1, so that no direction of a matrix lags behind.

Reference: Jordan et al. (2024), Muon: An optimizer for hidden layers in neural networks.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_MOMENTUM = 0.95
_ITERATIONS = 5
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # of x, x^3 and x^5: steep at 0, and near 1 it stays between 0.7 and 1.2


class Muon(torch.optim.Optimizer):
    """Nesterov momentum made orthogonal, for matrices."""

    def __init__(self, matrices: Mapping[int, Iterable[torch.nn.Parameter]], lr: float, *, bf16: bool = False) -> None:
        """Take the matrices by the number of gates that each stacks; the gates are matrices of their own.

        `bf16` makes the momentum orthogonal in bfloat16, as in the reference.
        """
        self._bf16 = bf16
        groups = [{"params": list(parameters), "gates": gates} for gates, parameters in matrices.items()]
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every matrix that has a gradient."""
        assert closure is None
        updates = [
            (parameter, group["lr"], self._momentum(parameter, parameter.grad).unflatten(0, (group["gates"], -1)))
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        for _, same in groupby(sorted(updates, key=_shape), key=_shape):  # on a GPU, launches count
            parameters, rates, matrices = zip(*same, strict=True)
            found = orthogonal(torch.cat(matrices), bf16=self._bf16).split([len(each) for each in matrices])
            for parameter, lr, update in zip(parameters, rates, found, strict=True):
                size = max(1.0, update.shape[1] / update.shape[2]) ** 0.5
                parameter.sub_(update.flatten(0, 1), alpha=lr * size)

    def _momentum(self, parameter: torch.nn.Parameter, gradient: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        return gradient.lerp(state["momentum"].lerp_(gradient, 1 - _MOMENTUM), _MOMENTUM)


def _shape(update: tuple[torch.nn.Parameter, float, Tensor]) -> torch.Size:
    return update[2].shape[1:]


def orthogonal(matrices: Float[Tensor, "N R C"], *, bf16: bool = False) -> Float[Tensor, "N R C"]:
    """Each matrix with its singular vectors, and singular values between about 0.7 and 1.2; zeros stay zeros.

    The Newton-Schulz iteration takes products of matrices only, where a decomposition would be slow; with `bf16` in
    bfloat16, which the result then has.
    """
    first, third, fifth = _POLYNOMIAL
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices  # the smaller products
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    x = x.bfloat16() if bf16 else x
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=third, alpha=fifth), x, beta=first)
    return x.mT if is_tall else x
