"""Per-channel softmax-weighted mean over the past, as a plain loop.

With e the scores and h the values, all per channel (B batch, T time, H hidden):
    lse_t = log(exp(lse_{t-1}) + exp(e_t)),  g_t = exp(e_t - lse_t),  context_t = (1 - g_t) context_{t-1} + g_t h_t.
The result is bounded for any scores, in O(T) time with O(1) state. lse = -inf means an empty past and is handled
exactly: the first weight is 1.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def causal_mean_cell(
    scores: Float[Tensor, "B H"],
    values: Float[Tensor, "B H"],
    lse: Float[Tensor, "B H"],
    context: Float[Tensor, "B H"],
) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """Take one step; returns (lse, context)."""
    weight = torch.sigmoid(scores - lse)
    return torch.logaddexp(lse, scores), torch.lerp(context, values, weight)


def causal_mean(
    scores: Float[Tensor, "B T H"],
    values: Float[Tensor, "B T H"],
    lse0: Float[Tensor, "B H"],
    context0: Float[Tensor, "B H"],
    keep: Bool[Tensor, "B T"],
) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """Mean of values 1..t weighted by softmax(scores 1..t), for every t; `keep` false at t discards the row's past.

    Returns (contexts, lse_last, context_last).
    """
    lse, context, contexts = lse0, context0, []
    for t in range(scores.shape[1]):
        reset = ~keep[:, t, None]
        lse, context = lse.masked_fill(reset, -torch.inf), context.masked_fill(reset, 0)
        lse, context = causal_mean_cell(scores[:, t], values[:, t], lse, context)
        contexts.append(context)
    return torch.stack(contexts, dim=1), lse, context
