"""Rows whose carried state ends in the middle of a batch, shared by the operations that loop over time."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def resets(keep: Bool[Tensor, "B T"]) -> list[Bool[Tensor, "B 1"] | None]:
    """The rows to reset before each step, or None where there are none, as at almost every step."""
    reset = ~keep.t().unsqueeze(-1)
    some = reset.any(dim=1).flatten().tolist()
    return [reset[t] if some[t] else None for t in range(len(some))]


def zeroed(state: Float[Tensor, "B H"], reset: Bool[Tensor, "B 1"] | None) -> Float[Tensor, "B H"]:
    """The state with those rows zeroed, or the state itself."""
    return state if reset is None else state.masked_fill(reset, 0)


def states(first: Float[Tensor, "B H"], num_steps: int) -> Float[Tensor, "T+1 B H"]:
    """Room for the state before each step and after the last; only the first is written."""
    room = torch.empty(num_steps + 1, *first.shape, dtype=first.dtype, device=first.device)
    room[0] = first
    return room
