"""A piece that is being made: the engine's thread writes it, and any number of readers follow it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from pianogen.generation import Request, SampledPiece
from pianogen.play.spec import PieceSpec
from pianogen.tokens.vocab import EOS, FIRST_DURATION, FIRST_NOTE, SEP

State = Literal["queued", "running", "done", "stopped", "failed"]
ENDED: frozenset[State] = frozenset(("done", "stopped", "failed"))
LEAVE_S = 5.0  # an unfinished piece that nobody has read for so long is stopped


class Piece:
    """Fields are replaced, never changed in place, so that readers need no lock; `state` is written last."""

    def __init__(self, spec: PieceSpec, request: Request, visitor: str) -> None:
        """Let `visitor`, the name of a session, be the one for whom it is made."""
        self.spec, self.request, self.visitor, self.id = spec, request, visitor, spec.encode()
        self.state: State = "queued"
        self.position = 0
        """Pieces before it in the queue."""
        self.tokens: Int[np.ndarray, " T"] = request.prompt
        self.error: str | None = None
        self.num_prompt_notes = len(notes_in(request.prompt))
        """How many of its notes are the prompt."""
        self._readers, self._seen_at, self._is_stopped = 0, time.monotonic(), False

    def notes(self) -> list[list[int]]:
        """Its notes so far, as `notes_in`."""
        return notes_in(self.tokens)

    def touch(self) -> None:
        """Note that somebody still wants it."""
        self._seen_at = time.monotonic()

    @contextmanager
    def read(self) -> Iterator[None]:
        """Count as a reader in the `with` block."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            self.touch()

    def stop(self) -> None:
        """Let the engine drop it, unless somebody else reads it."""
        self._is_stopped = self._readers <= 1

    def is_unwanted(self) -> bool:
        """Whether it is stopped, or nobody reads it any more."""
        return self._is_stopped or (not self._readers and time.monotonic() - self._seen_at > LEAVE_S)

    def is_usable(self) -> bool:
        """Whether it is done, or is being made and will be; otherwise it has to be made again."""
        return self.state == "done" or (self.state not in ENDED and not self.is_unwanted())

    def advance(self, tokens: Int[np.ndarray, " T"]) -> None:
        """Take its tokens so far."""
        self.tokens, self.state = tokens, "running"

    def finish(self, made: SampledPiece) -> None:
        """Take its last tokens."""
        self.tokens, self.error = made.tokens, made.reason
        self.state = "failed" if made.ended == "failed" else "done"

    def end(self, state: State, error: str | None = None) -> None:
        """End it early."""
        self.error, self.state = error, state

    def describe(self) -> dict[str, Any]:
        """Everything about it."""
        prompt, state = self.spec.prompt, self.state
        return {
            "id": self.id,
            "link": f"/?piece={self.id}",
            "events": f"/api/pieces/{self.id}/events",
            "state": state,
            "error": self.error,
            "model": self.spec.model,
            "seed": self.spec.seed,
            "settings": self.spec.settings.model_dump(exclude_none=True),
            "steps_per_quarter": prompt.steps_per_quarter,
            "quarters_per_minute": prompt.quarters_per_minute,
            "time_signature": prompt.time_signature,
            "seconds_per_step": prompt.seconds_per_step,
            "prompt_steps": prompt.num_steps,
            "num_prompt_notes": self.num_prompt_notes,
            "num_tokens": len(self.tokens),
            "notes": self.notes(),
        }


class NoteReader:
    """Reads a stream that grows, each note once; the notes of a beginning are the first notes of the whole."""

    def __init__(self) -> None:
        self._num_tokens, self._clock = 2, 0

    def read(self, tokens: Int[np.ndarray, " T"]) -> list[list[int]]:
        """The notes after those of the last call, as [start, length, pitch] in steps and MIDI numbers, in their order.

        Args:
            tokens: The stream from its beginning; those of the last call are the first of them.
        """
        body = tokens[self._num_tokens : -1 if tokens[-1] == EOS else None]
        words, lengths = body[: len(body) // 2 * 2].reshape(-1, 2).astype(np.int64).T
        steps, is_note = lengths - FIRST_DURATION, words != SEP
        starts = self._clock + np.cumsum(np.where(is_note, 0, steps))
        self._num_tokens += 2 * len(words)
        self._clock = int(starts[-1]) if len(starts) else self._clock
        return np.stack([starts, steps, words - FIRST_NOTE], axis=1)[is_note].tolist()


def notes_in(tokens: Int[np.ndarray, " T"]) -> list[list[int]]:
    """The notes of a stream or of its beginning, as `NoteReader.read`."""
    return NoteReader().read(tokens)
