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
from jaxtyping import Float, Int, UInt64

from pianogen.config import GenerateConfig, Mask
from pianogen.generation.choice import Filters, NoiseStream, choose, gumbel
from pianogen.generation.limits import Limits
from pianogen.generation.piece_builder import EndReason, PieceBuilder
from pianogen.generation.prompt import Prompt
from pianogen.models import PianoModel, State

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
    with _evaluation_mode(model):
        batch = _Batch(model, config, mask)
        waiting = deque(requests)
        while waiting or batch.rows:
            batch.admit([waiting.popleft() for _ in range(min(len(waiting), config.batch - len(batch.rows)))])
            yield from batch.advance()


class _Row:
    """One unfinished piece of the batch, and its noise."""

    def __init__(self, request: Request, config: GenerateConfig, mask: Mask) -> None:
        self._request = request
        self.piece = PieceBuilder(request.prompt, request.limits, mask)
        self._noise = NoiseStream(config.seed if request.seed is None else request.seed, request.piece)
        self._temperature = config.temperature
        self._duration_temperature = config.duration_temperature or config.temperature

    @property
    def temperature(self) -> float:
        return self._duration_temperature if self.piece.awaits_length else self._temperature

    def bits(self) -> UInt64[np.ndarray, " V"]:
        return self._noise.bits(len(self.piece.tokens))

    def result(self) -> SampledPiece:
        """The result; a piece that has not ended has failed."""
        tokens, end_reason = np.array(self.piece.tokens, dtype=np.int16), self.piece.end_reason
        if end_reason is None:
            reason = f"the model's scores for token {len(tokens)} are not finite numbers"
            return SampledPiece(self._request, tokens, "failed", reason)
        return SampledPiece(self._request, tokens, end_reason)


class _Batch:
    """The unfinished pieces, the model's state, and the logits of their next words."""

    def __init__(self, model: PianoModel, config: GenerateConfig, mask: Mask) -> None:
        self.rows: list[_Row] = []
        self._model = model
        self._config = config
        self._mask: Mask = mask
        self._filters = Filters.of(config)
        self._device = next(model.parameters()).device
        self._prompts: dict[bytes, tuple[torch.Tensor, State]] = {}
        self._logits = torch.empty(0, device=self._device)
        self._state: State = {}

    @torch.inference_mode()
    def admit(self, requests: list[Request]) -> None:
        """Add rows."""
        if not requests:
            return
        added = [_Row(request, self._config, self._mask) for request in requests]  # checks the prompts
        read = [self._read(request.prompt) for request in requests]
        if self.rows:
            read.insert(0, (self._logits, self._state))
        self._logits = torch.cat([logits for logits, _ in read])
        self._state = {name: torch.cat([state[name] for _, state in read]) for name in read[0][1]}
        self.rows += added

    @torch.inference_mode()
    def advance(self) -> list[SampledPiece]:
        """Append a word to every row, remove rows that ended or failed, and feed the rest to the model."""
        logits = self._logits.float().cpu().numpy()
        finite = np.flatnonzero(np.isfinite(logits).all(axis=1)).tolist()
        self._append_words([self.rows[i] for i in finite], logits[finite])
        active = [i for i in finite if self.rows[i].piece.end_reason is None]
        ended = [self.rows[i].result() for i in sorted(set(range(len(self.rows))) - set(active))]
        if len(active) < len(self.rows):
            self.rows = [self.rows[i] for i in active]
            self._state = {name: values[active] for name, values in self._state.items()}
        if self.rows:
            words = torch.tensor([row.piece.tokens[-1] for row in self.rows], device=self._device)
            self._logits, self._state = self._model.step(words, self._state)
        return ended

    def _append_words(self, rows: list[_Row], logits: Float[np.ndarray, "B V"]) -> None:
        if not rows:
            return
        legal = np.stack([row.piece.legal() for row in rows])
        noise = gumbel(np.stack([row.bits() for row in rows]))
        temperature = np.array([row.temperature for row in rows])
        for row, word in zip(rows, choose(logits, legal, noise, temperature, self._filters), strict=True):
            row.piece.append(int(word))

    def _read(self, prompt: Int[np.ndarray, " T"]) -> tuple[torch.Tensor, State]:
        key = prompt.tobytes()
        if key not in self._prompts:
            words = torch.from_numpy(prompt.astype(np.int64))[None].to(self._device)
            state, logits = self._model.initial_state(1, self._device), self._logits
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
