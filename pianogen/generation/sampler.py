"""Sampling in batches: each row is a piece, and a row whose piece has ended makes place for the next one.

What a model carries is its whole memory, so a word costs the same at any length. A prompt is read once, alone, and its
state copied to every piece that begins with it: neither the batch nor the other prompts can change its rounding.
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
from pianogen.generation.choice import Filters, choose
from pianogen.generation.draws import Draws, gumbel
from pianogen.generation.growing import Ending, Growing
from pianogen.generation.limits import Limits
from pianogen.generation.prompt import Prompt
from pianogen.models import PianoModel, State

_CHUNK_TOKENS = 512  # of a prompt, read at a time: bounds the memory that a long one takes


@dataclass(frozen=True, eq=False)
class Request:
    """A piece to be made; it equals itself alone."""

    piece: int
    """With the seed it names the random draws."""
    limits: Limits = field(default_factory=Limits)
    prompt: Int[np.ndarray, " T"] = field(default_factory=lambda: Prompt().ids)
    """`xxbos xxpad` and whole pairs."""
    seed: int | None = None
    """By default the settings' own."""


@dataclass(frozen=True)
class Sample:
    """A piece that has ended, or failed."""

    request: Request
    tokens: Int[np.ndarray, " T"]
    """xxbos to xxeos; what there was of it where it failed."""
    ended: Ending | Literal["failed"]
    """xxeos: the model ended it; limit: a maximum did."""
    reason: str | None = None
    """Why it failed."""


def sample(
    model: PianoModel, requests: Iterable[Request], config: GenerateConfig, mask: Mask = "strict"
) -> list[Sample]:
    """Make all requested pieces, in the order of the requests."""
    requests = list(requests)
    made = {done.request: done for done in sample_each(model, requests, config, mask)}
    return [made[request] for request in requests]


def sample_each(
    model: PianoModel, requests: Iterable[Request], config: GenerateConfig, mask: Mask = "strict"
) -> Iterator[Sample]:
    """Make pieces, `config.batch` side by side, and yield each when it ends.

    Raises:
        TokenError: A prompt breaks the grammar; the message names the position.
    """
    with _evaluating(model):
        batch = _Batch(model, config, mask)
        waiting = deque(requests)
        while waiting or batch.rows:
            batch.admit([waiting.popleft() for _ in range(min(len(waiting), config.batch - len(batch.rows)))])
            yield from batch.advance()


class _Row:
    """A piece in the batch, and its noise."""

    def __init__(self, request: Request, config: GenerateConfig, mask: Mask) -> None:
        self._request = request
        self.growing = Growing(request.prompt, request.limits, mask)
        self._draws = Draws(config.seed if request.seed is None else request.seed, request.piece)
        self._temperature = config.temperature
        self._duration_temperature = config.duration_temperature or config.temperature

    @property
    def temperature(self) -> float:
        return self._duration_temperature if self.growing.awaits_length else self._temperature

    def bits(self) -> UInt64[np.ndarray, " V"]:
        return self._draws.bits(len(self.growing.tokens))

    def sample(self) -> Sample:
        """What has become of the piece; one that has not ended has failed."""
        tokens, ending = np.array(self.growing.tokens, dtype=np.int16), self.growing.ending
        if ending is None:
            reason = f"the model's scores for token {len(tokens)} are not finite numbers"
            return Sample(self._request, tokens, "failed", reason)
        return Sample(self._request, tokens, ending)


class _Batch:
    """The rows that grow, their carried state, and the logits of their next words."""

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
        newcomers = [_Row(request, self._config, self._mask) for request in requests]  # checks the prompts
        read = [self._read(request.prompt) for request in requests]
        if self.rows:
            read.insert(0, (self._logits, self._state))
        self._logits = torch.cat([logits for logits, _ in read])
        self._state = {name: torch.cat([state[name] for _, state in read]) for name in read[0][1]}
        self.rows += newcomers

    @torch.inference_mode()
    def advance(self) -> list[Sample]:
        """Give every row its next word, take out those that ended or failed, and feed the rest to the model."""
        logits = self._logits.float().cpu().numpy()
        sound = np.flatnonzero(np.isfinite(logits).all(axis=1)).tolist()
        self._grow([self.rows[i] for i in sound], logits[sound])
        going = [i for i in sound if self.rows[i].growing.ending is None]
        ended = [self.rows[i].sample() for i in sorted(set(range(len(self.rows))) - set(going))]
        if len(going) < len(self.rows):
            self.rows = [self.rows[i] for i in going]
            self._state = {name: values[going] for name, values in self._state.items()}
        if self.rows:
            words = torch.tensor([row.growing.tokens[-1] for row in self.rows], device=self._device)
            self._logits, self._state = self._model.step(words, self._state)
        return ended

    def _grow(self, rows: list[_Row], logits: Float[np.ndarray, "B V"]) -> None:
        if not rows:
            return
        legal = np.stack([row.growing.legal() for row in rows])
        noise = gumbel(np.stack([row.bits() for row in rows]))
        temperature = np.array([row.temperature for row in rows])
        for row, word in zip(rows, choose(logits, legal, noise, temperature, self._filters), strict=True):
            row.growing.take(int(word))

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
def _evaluating(model: PianoModel) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
