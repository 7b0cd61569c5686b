"""The unfinished pieces of a batch: a record of numbers each, and their tokens so far.

A compiled kernel reads and writes the same arrays (pianogen/ops/native/sampling.h), so the order of the fields counts.
"""

from enum import IntEnum
from typing import Literal

import numpy as np
from jaxtyping import Int, Int16, Shaped

from pianogen.config import GenerateConfig, Mask
from pianogen.errors import TokenError
from pianogen.generation.limits import Limits
from pianogen.generation.prompt import clock_and_end
from pianogen.tokens.grammar import NEXT_STATE, first_violation, states_of
from pianogen.tokens.vocab import EOS, VOCABULARY_SIZE, WORDS

EndReason = Literal["xxeos", "limit"]
NO_LIMIT = 1 << 40  # steps
_KEY_MASK = (1 << 64) - 1  # a key of the noise is two 64-bit numbers; a negative seed wraps


class End(IntEnum):
    """Whether and how a piece has ended."""

    RUNNING = 0
    MODEL = 1
    """The model drew xxeos where the piece may end."""
    LIMIT = 2
    """A maximum ended it."""
    FAILED = 3
    """The model's scores are not finite numbers."""
    STOPPED = 4
    """Nobody wants it any more."""


PIECE = np.dtype(
    [(name, np.uint64) for name in ("seed", "number")]
    + [(name, np.int64) for name in ("max_tokens", "max_steps", "min_tokens", "min_steps")]
    + [(name, np.int64) for name in ("length", "state", "clock", "end_step", "has_note", "last", "end")]
    + [("top_k", np.int64)]
    + [(name, np.float64) for name in ("kind_temperature", "length_temperature", "top_p", "min_p")]
)
"""seed, number: key of the noise. max_tokens to min_steps: see `Limits`. length: tokens so far. state: of the grammar.
clock: current onset, in steps. end_step: where the last note ends, the prompt's own notes not included. last: the last
token. has_note: whether there is a note, 0 or 1. end: see `End`. top_k to min_p: see `GenerateConfig`; top_k and min_p
are off at 0, top_p at 1, and kind_temperature is that of notes and waits."""


class Pieces:
    """Rows 0 to `len` of a batch."""

    def __init__(self, max_rows: int, mask: Mask) -> None:
        self.mask: Mask = mask
        self._all = np.zeros(max_rows, dtype=PIECE)
        self.tokens: Int16[np.ndarray, "B C"] = np.zeros((max_rows, 64), dtype=np.int16)
        self._longest = 0  # tokens, at most, of any row
        self.rows: Shaped[np.ndarray, " B"] = self._all[:0]
        """A record of the type PIECE for each unfinished piece."""

    def __len__(self) -> int:
        return len(self.rows)

    def start(
        self, row: int, prompt: Int[np.ndarray, " T"], limits: Limits, seed: int, number: int, config: GenerateConfig
    ) -> None:
        """Start piece `number` from a prompt, `xxbos xxpad` and whole pairs, in a row that is free or the next one.

        Of `config`, it takes the temperatures and filters.

        Raises:
            TokenError: The prompt breaks the grammar, ends inside a pair, or leaves no room for a note.
        """
        _check_prompt(prompt, limits, self.mask)
        clock, prompt_end = clock_and_end(prompt)
        self.rows = self._all[: max(len(self), row + 1)]
        record = self.rows[row]
        record["seed"], record["number"] = seed & _KEY_MASK, number & _KEY_MASK
        record["max_tokens"], record["min_tokens"] = limits.max_tokens, limits.min_tokens
        record["max_steps"] = NO_LIMIT if limits.max_steps is None else limits.max_steps
        record["min_steps"] = limits.min_steps
        record["length"], record["last"], record["clock"] = len(prompt), prompt[-1], clock
        record["state"] = NEXT_STATE[states_of(prompt)[-1], prompt[-1]]
        record["end_step"], record["has_note"], record["end"] = 0, prompt_end > 0, End.RUNNING
        record["kind_temperature"] = config.temperature
        record["length_temperature"] = config.duration_temperature or config.temperature
        record["top_k"] = min(config.top_k or 0, VOCABULARY_SIZE)
        record["top_p"], record["min_p"] = config.top_p or 1.0, config.min_p or 0.0
        self._longest = int(self.rows["length"].max()) - 1  # so that a batch that never ends does not grow for ever
        self.make_room()
        self.tokens[row, : len(prompt)] = prompt

    def make_room(self) -> None:
        """Let every row hold one token more than it may hold now; before each draw."""
        if self._longest >= self.tokens.shape[1]:
            more = np.zeros((len(self.tokens), 2 * self._longest), dtype=np.int16)
            more[:, : self.tokens.shape[1]] = self.tokens
            self.tokens = more
        self._longest += 1

    def write_last(self, rows: Int[np.ndarray, " R"]) -> None:
        """Write the last token of the records of these rows to their tokens."""
        self.tokens[rows, self.rows["length"][rows] - 1] = self.rows["last"][rows]

    def keep(self, rows: Int[np.ndarray, " R"]) -> None:
        """Keep only these rows, in this order."""
        self._all[: len(rows)] = self.rows[rows]
        self.tokens[: len(rows)] = self.tokens[rows]
        self.rows = self._all[: len(rows)]

    def tokens_of(self, row: int) -> Int16[np.ndarray, " T"]:
        """The tokens of one piece so far."""
        return self.tokens[row, : self.rows["length"][row]].copy()

    def ended(self) -> list[int]:
        """The rows whose piece has ended or failed."""
        return np.flatnonzero(self.rows["end"]).tolist()


def _check_prompt(prompt: Int[np.ndarray, " T"], limits: Limits, mask: Mask) -> None:
    violation = first_violation(prompt, mask)
    if violation is not None:
        index = int(prompt[violation])
        word = WORDS[index] if 0 <= index < len(WORDS) else "not a word"
        raise TokenError(
            f"position {violation} of the prompt is {index} ({word}), which breaks the {mask} grammar;"
            " encode prompts from notes"
        )
    if len(prompt) < 2 or len(prompt) % 2 or prompt[-1] == EOS:
        raise TokenError(f"the prompt has {len(prompt)} tokens, but must be xxbos xxpad and whole pairs, without xxeos")
    if limits.max_tokens < len(prompt) + 3:
        raise TokenError(
            f"the prompt has {len(prompt)} tokens, and a piece at most {limits.max_tokens}: no room for a note"
        )
    clock, _ = clock_and_end(prompt)
    if limits.max_steps is not None and clock >= limits.max_steps:
        raise TokenError(
            f"the prompt's last onset is step {clock}, and a piece has {limits.max_steps} steps: no room for a note"
        )
