"""Sampling in batches: each row is a piece, and a row whose piece has ended is replaced by the next one.

The model's state summarises everything before, so a word costs the same at any length. A prompt is read once, alone,
and its state copied to every piece that starts from it: neither the batch nor the other prompts change its rounding.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
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

_MAX_PROMPTS = 64  # whose state is kept
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
    config: GenerateConfig | None = None
    """Temperatures and filters, by default those of the settings."""


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
    with model.in_evaluation_mode(), model.packed():
        waiting = deque(requests)
        batch = Batch(model, config, mask, min(config.batch, len(waiting)))
        while batch.fill(waiting):
            yield from batch.advance()


class Batch:
    """The unfinished pieces, and the model's state before the last token of each; pieces may join and leave."""

    def __init__(self, model: PianoModel, config: GenerateConfig, mask: Mask, max_rows: int) -> None:
        self._model, self._config, self._max_rows = model, config, max_rows
        self._device = next(model.parameters()).device
        self._prompts: OrderedDict[bytes, State] = OrderedDict()  # the latest ones
        self._requests: dict[int, Request] = {}  # by row
        self._pieces = Pieces(max_rows, mask)
        self._draw = build_draw(self._pieces)
        self._state = model.initial_state(0, self._device)
        self._last = torch.empty(0, dtype=torch.int64, device="cpu")  # a view of what the draw writes

    @torch.inference_mode()
    def fill(self, waiting: deque[Request]) -> bool:
        """Give the rows that are free to waiting requests, or drop them; returns whether any piece is unfinished."""
        free = [*self._pieces.ended(), *range(len(self._pieces), self._max_rows)][: len(waiting)]
        self._add_rows(sum(row >= len(self._pieces) for row in free))
        for row in free:
            self._start(row, waiting.popleft())
        if self._pieces.ended():
            self._drop_ended()
        self._last = torch.from_numpy(self._pieces.rows["last"])
        return len(self._pieces) > 0

    @torch.inference_mode()
    def advance(self, max_words: int | None = None) -> list[SampledPiece]:
        """Append words to every piece until one ends or fails, or `max_words` of them; returns those that ended."""
        num_ended, num_words = 0, 0
        while not num_ended and num_words != max_words:
            logits, self._state = self._model.step(self._last.to(self._device), self._state)
            num_ended = self._draw(logits)
            num_words += 1
        return [self._result(row) for row in self._pieces.ended()]

    def unfinished(self) -> Iterator[tuple[Request, Int[np.ndarray, " T"]]]:
        """Every unfinished piece, and its tokens so far."""
        for row, request in self._requests.items():
            if self._pieces.rows["end"][row] == End.RUNNING:
                yield request, self._pieces.tokens_of(row)

    def stop(self, request: Request) -> None:
        """End a piece, if it is unfinished; the next `fill` frees its row."""
        for row, started in self._requests.items():
            if started is request:
                self._pieces.rows["end"][row] = End.STOPPED

    def _add_rows(self, num: int) -> None:
        if num:
            more = self._model.initial_state(num, self._device)
            self._state = {name: torch.cat([value, more[name]]) for name, value in self._state.items()}

    def _start(self, row: int, request: Request) -> None:
        seed = self._config.seed if request.seed is None else request.seed
        config = request.config or self._config
        self._pieces.start(row, request.prompt, request.limits, seed, request.piece, config)
        self._requests[row] = request
        for name, value in self._read(request.prompt[:-1]).items():
            self._state[name][row] = value[0]

    def _drop_ended(self) -> None:
        kept = np.setdiff1d(np.arange(len(self._pieces)), self._pieces.ended())
        self._pieces.keep(kept)
        self._requests = {row: self._requests[before] for row, before in enumerate(kept.tolist())}
        index = torch.from_numpy(kept).to(self._device)
        self._state = {name: value[index] for name, value in self._state.items()}

    def _result(self, row: int) -> SampledPiece:
        tokens, end = self._pieces.tokens_of(row), self._pieces.rows["end"][row]
        if end == End.FAILED:
            reason = f"the model's scores for token {len(tokens)} are not finite numbers"
            return SampledPiece(self._requests[row], tokens, "failed", reason)
        return SampledPiece(self._requests[row], tokens, "xxeos" if end == End.MODEL else "limit")

    def _read(self, tokens: Int[np.ndarray, " T"]) -> State:
        key = tokens.tobytes()
        if key not in self._prompts:
            words = torch.from_numpy(tokens.astype(np.int64))[None].to(self._device)
            state = self._model.initial_state(1, self._device)
            for chunk in words.split(_CHUNK_TOKENS, dim=1):
                _, state = self._model(chunk, state)
            self._prompts[key] = state
            if len(self._prompts) > _MAX_PROMPTS:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(key)
        return self._prompts[key]
