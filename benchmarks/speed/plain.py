"""What one would write without pianogen: one-hot input, torch.nn's layers, cumulative-sum attention, masked loss."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pianogen.tokens.vocab import VOCABULARY_SIZE


class PlainModel(nn.Module):
    """The paper's models in a few lines."""

    def __init__(self, kind: str, hidden_size: int) -> None:
        super().__init__()
        layer = nn.RNN if kind == "rnn" else nn.LSTM
        self.recurrent = layer(VOCABULARY_SIZE, hidden_size, batch_first=True)
        self.attention = nn.Linear(hidden_size, hidden_size, bias=False) if kind == "attn" else None
        self.decoder = nn.Linear(hidden_size * (2 if self.attention else 1), VOCABULARY_SIZE)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V)."""
        hidden, _ = self.recurrent(F.one_hot(tokens, VOCABULARY_SIZE).float())
        if self.attention is not None:
            context = plain_attention(self.attention(hidden).float(), hidden)
            hidden = torch.cat([hidden, context.to(hidden.dtype)], dim=-1)
        return self.decoder(hidden)


def plain_attention(scores: Tensor, values: Tensor) -> Tensor:
    """Mean over the past by cumulative sums; normalized by one maximum per row, so that large scores overflow."""
    weights = (scores - scores.amax(1, keepdim=True)).exp()
    return (weights * values).cumsum(1) / weights.cumsum(1)


def plain_loss(logits: Tensor, targets: Tensor, states: Tensor, allowed: Tensor) -> Tensor:
    """Cross-entropy over the allowed words, and the number of correct predictions as a side effect of training."""
    masked = logits.flatten(0, 1).float().masked_fill(~allowed[states.flatten()], -torch.inf)
    (masked.argmax(-1) == targets.flatten()).sum()
    return F.cross_entropy(masked, targets.flatten(), reduction="sum")
