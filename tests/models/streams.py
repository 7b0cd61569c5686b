"""Streams of random tokens, and a model that reads them one at a time."""

import torch
from torch import Tensor

from pianogen.models import PianoModel, State
from pianogen.tokens.vocab import BOS, VOCABULARY_SIZE


def tokens(batch: int = 3, time: int = 9, seed: int = 0, begins: float = 0.2) -> Tensor:
    """Random words, this share of them xxbos."""
    torch.manual_seed(seed)
    words = torch.randint(1, VOCABULARY_SIZE, (batch, time))
    return words.masked_fill(torch.rand(batch, time) < begins, BOS)


def stepped(model: PianoModel, words: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """The logits and the last state of a stream read one token at a time."""
    state, steps = model.initial_state(len(words)) if state is None else state, []
    for t in range(words.shape[1]):
        logits, state = model.step(words[:, t], state)
        steps.append(logits)
    return torch.stack(steps, dim=1), state
