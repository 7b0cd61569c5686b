"""Resets of the state of single rows, shared by the operations that loop over time."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def resets(keep: Bool[Tensor, "B T"]) -> list[Bool[Tensor, "B 1"] | None]:
    """The rows to reset before each step, or None for a step without resets, as most are."""
    reset = ~keep.t().unsqueeze(-1)
    some = reset.any(dim=1).flatten().tolist()
    return [reset[t] if some[t] else None for t in range(len(some))]


def zeroed(state: Float[Tensor, "B H"], reset: Bool[Tensor, "B 1"] | None) -> Float[Tensor, "B H"]:
    """The state with the rows in `reset` zeroed; the state itself if `reset` is None."""
    return state if reset is None else state.masked_fill(reset, 0)


def states(first: Float[Tensor, "B H"], num_steps: int) -> Float[Tensor, "T+1 B H"]:
    """Allocate the states before each step and after the last; only the first is initialized."""
    allocated = torch.empty(num_steps + 1, *first.shape, dtype=first.dtype, device=first.device)
    allocated[0] = first
    return allocated
