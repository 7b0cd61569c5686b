"""Sampling in batches: each row is a piece, and a row whose piece has ended is replaced by the next one.

The model's state summarises everything before, so a word costs the same at any length. A prompt is read once, alone,
and its state copied to every piece that starts from it: neither the batch nor the other prompts change its rounding.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int

from pianogen.config import GenerateConfig, Mask
from pianogen.generation.draw import build_draw
from pianogen.generation.limits import Limits
from pianogen.generation.pieces import End, EndReason, Pieces
from pianogen.generation.prompt import Prompt
from pianogen.models import PianoModel, State
from pianogen.tokens.vocab import VOCABULARY_SIZE

_CHUNK_TOKENS = 512  # of a prompt, read at a time: bounds the memory of a long prompt


@dataclass(frozen=True, eq=False)
class Request:
    """A piece to generate; compared by identity."""

    piece: int
    """With the seed, selects the random draws."""
    limits: Limits = field(default_factory=Limits)
    prompt: Int[np.ndarray, " T"] = field(default_factory=lambda: Prompt().ids)
    """`xxbos xxpad` and whole pairs."""
    seed: int | None = None
    """By default that of the settings."""


@dataclass(frozen=True)
class SampledPiece:
    """A piece that is finished or has failed."""

    request: Request
    tokens: Int[np.ndarray, " T"]
    """xxbos to xxeos; of a failed piece, the tokens before the failure."""
    ended: EndReason | Literal["failed"]
    """xxeos: the model ended it; limit: a maximum did."""
    reason: str | None = None
    """Why it failed."""


def sample(
    model: PianoModel, requests: Iterable[Request], config: GenerateConfig, mask: Mask = "strict"
) -> list[SampledPiece]:
    """Generate all requested pieces, in the order of the requests."""
    requests = list(requests)
    made = {done.request: done for done in sample_each(model, requests, config, mask)}
    return [made[request] for request in requests]


def sample_each(
    model: PianoModel, requests: Iterable[Request], config: GenerateConfig, mask: Mask = "strict"
) -> Iterator[SampledPiece]:
    """Generate pieces, `config.batch` at a time, and yield each when it ends.

    Raises:
        TokenError: A prompt breaks the grammar; the message names the position.
    """
    with _evaluation_mode(model), model.packed():
        waiting = deque(requests)
        batch = _Batch(model, config, mask, min(config.batch, len(waiting)))
        batch.admit(waiting)
        while batch.requests:
            yield from batch.advance(waiting)


class _Batch:
    """The unfinished pieces, the model's state, and the logits of their next words.

    A row whose piece has ended takes the next request; once none is left, the batch shrinks.
    """

    def __init__(self, model: PianoModel, config: GenerateConfig, mask: Mask, max_rows: int) -> None:
        self.requests: list[Request] = []
        self._model, self._config, self._max_rows = model, config, max_rows
        self._device = next(model.parameters()).device
        self._prompts: dict[bytes, tuple[torch.Tensor, State]] = {}
        self._pieces = Pieces(max_rows, mask)
        self._draw = build_draw(self._pieces, config)
        self._longest = 0
        self._logits = torch.empty(max_rows, VOCABULARY_SIZE, device=self._device)
        self._state: State = {}

    @torch.inference_mode()
    def admit(self, waiting: deque[Request]) -> None:
        """Fill the batch for the first time."""
        self.requests = [waiting.popleft() for _ in range(self._max_rows)]
        self._state = self._model.initial_state(self._max_rows, self._device)
        for row, request in enumerate(self.requests):
            self._start(row, request)

    @torch.inference_mode()
    def advance(self, waiting: deque[Request]) -> list[SampledPiece]:
        """Append a word to every piece, and feed it to the model; pieces that ended or failed are replaced."""
        self._pieces.make_room(self._longest)
        self._draw(self._logits)
        self._longest += 1
        ended = np.flatnonzero(self._pieces.ended()).tolist()
        done = [self._result(row) for row in ended]
        free = ended[: len(waiting)]
        if len(free) < len(ended):
            free = self._drop(ended[len(free) :], free)
        if self.requests and len(free) < len(self.requests):
            words = torch.from_numpy(self._pieces.rows["last"]).to(self._device)
            self._logits, self._state = self._model.step(words, self._state)
        for row in free:
            self.requests[row] = waiting.popleft()
            self._start(row, self.requests[row])
        return done

    def _drop(self, rows: list[int], free: list[int]) -> list[int]:
        """Remove rows; returns where the rows in `free` are now."""
        kept = np.setdiff1d(np.arange(len(self.requests)), rows)
        self._pieces.keep(kept)
        self.requests = [self.requests[row] for row in kept]
        index = torch.from_numpy(kept).to(self._device)
        self._logits, self._state = self._logits[index], {name: value[index] for name, value in self._state.items()}
        return np.searchsorted(kept, free).tolist()

    def _start(self, row: int, request: Request) -> None:
        seed = self._config.seed if request.seed is None else request.seed
        self._pieces.start(row, request.prompt, request.limits, seed, request.piece)
        self._longest = max(self._longest, len(request.prompt))
        logits, state = self._read(request.prompt)
        self._logits[row] = logits[0]
        for name, value in state.items():
            self._state[name][row] = value[0]

    def _result(self, row: int) -> SampledPiece:
        tokens, end = self._pieces.tokens_of(row), self._pieces.rows["end"][row]
        if end == End.FAILED:
            reason = f"the model's scores for token {len(tokens)} are not finite numbers"
            return SampledPiece(self.requests[row], tokens, "failed", reason)
        return SampledPiece(self.requests[row], tokens, "xxeos" if end == End.MODEL else "limit")

    def _read(self, prompt: Int[np.ndarray, " T"]) -> tuple[torch.Tensor, State]:
        key = prompt.tobytes()
        if key not in self._prompts:
            words = torch.from_numpy(prompt.astype(np.int64))[None].to(self._device)
            state, logits = self._model.initial_state(1, self._device), torch.empty(0, device=self._device)
            for chunk in words.split(_CHUNK_TOKENS, dim=1):
                logits, state = self._model(chunk, state)
            self._prompts[key] = logits[:, -1], state
        return self._prompts[key]


@contextmanager
def _evaluation_mode(model: PianoModel) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
