"""One word more for every piece of a batch, from the model's scores: in numpy, or as one call of a compiled kernel.

Both give the same words, but for ties within rounding. The kernel (pianogen/ops/native/sampling.h) ends the piece of
each row as this file does, without an array operation in Python.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int16
from torch import Tensor

from pianogen.config import GenerateConfig, Mask
from pianogen.generation.choice import Filters, NoiseStream, choose, gumbel
from pianogen.generation.pieces import End, Pieces
from pianogen.generation.rules import append_words, awaits_lengths, legal_words
from pianogen.ops.forms import compiled
from pianogen.ops.native import Kernel, kernels
from pianogen.tokens.grammar import NEXT_STATE, allowed
from pianogen.tokens.vocab import EOS, FIRST_DURATION, FIRST_NOTE, LOWEST_PITCH, SEP, VOCABULARY_SIZE

Draw = Callable[[Float[Tensor, "B V"]], int]


def build_draw(pieces: Pieces, config: GenerateConfig) -> Draw:
    """What appends a word to every piece, ends it, or marks it as failed where its scores are not finite."""
    return (CompiledDraw if compiled(torch.empty(0, device="cpu")) else NumpyDraw)(pieces, config)


class NumpyDraw:
    """The reference."""

    def __init__(self, pieces: Pieces, config: GenerateConfig) -> None:
        self._pieces, self._filters = pieces, Filters.of(config)
        self._temperatures = np.array(_temperatures(config))
        self._streams: dict[int, tuple[tuple[int, int], NoiseStream]] = {}  # by row: as many as rows

    def __call__(self, logits: Float[Tensor, "B V"]) -> int:
        """Append a word to every piece; returns how many have ended or failed."""
        self._pieces.make_room()
        scores, rows = logits.float().cpu().numpy(), self._pieces.rows
        is_finite = np.isfinite(scores).all(axis=1)
        rows["end"][~is_finite] = End.FAILED
        finite = np.flatnonzero(is_finite)
        if len(finite):
            pieces = rows[finite]
            noise = np.stack([self._noise(row) for row in finite.tolist()])
            temperature = self._temperatures[awaits_lengths(pieces).astype(np.int64)]
            legal = legal_words(pieces, self._pieces.mask)
            append_words(pieces, choose(scores[finite], legal, noise, temperature, self._filters))
            rows[finite] = pieces
            self._pieces.write_last(finite)
        return int(np.count_nonzero(rows["end"]))

    def _noise(self, row: int) -> Float64[np.ndarray, " V"]:
        piece = self._pieces.rows[row]
        key = int(piece["seed"]), int(piece["number"])
        if row not in self._streams or self._streams[row][0] != key:
            self._streams[row] = key, NoiseStream(*key)
        return gumbel(self._streams[row][1].bits(int(piece["length"])))


class CompiledDraw:
    """The compiled form."""

    def __init__(self, pieces: Pieces, config: GenerateConfig) -> None:
        library = kernels()
        assert library is not None
        self._pieces, filters = pieces, Filters.of(config)
        min_p = -np.inf if filters.min_p is None else np.log(filters.min_p)
        top_p = 1.0 if filters.top_p is None else filters.top_p
        self._tokens = None
        self._kernel = Kernel(library, "append_words", _SIZES, _POINTERS)
        self._arguments = self._kernel.arguments(
            **{"rows": 0, "words": VOCABULARY_SIZE, "capacity": 0, "top_k": min(filters.top_k or 0, VOCABULARY_SIZE)},
            **{"strict": int(pieces.mask == "strict"), "eos": EOS, "sep": SEP, "first_note": FIRST_NOTE},
            **{"lowest_note": FIRST_NOTE + LOWEST_PITCH, "first_duration": FIRST_DURATION, "logits": None},
            **{"allowed": torch.tensor(_allowed_words(pieces.mask), device="cpu"), "pieces": None, "tokens": None},
            next=torch.tensor(NEXT_STATE, device="cpu"),
            filters=torch.tensor([*_temperatures(config), top_p, min_p], dtype=torch.float64, device="cpu"),
        )

    def __call__(self, logits: Float[Tensor, "B V"]) -> int:
        """Append a word to every piece; returns how many have ended or failed."""
        scores, pieces, fields = (
            logits.float().cpu().contiguous(),
            self._pieces,
            self._arguments.fields,
        )
        pieces.make_room()
        if pieces.tokens is not self._tokens:  # an address costs more than a draw of one row
            self._tokens = pieces.tokens
            fields.pieces, fields.tokens = pieces.rows.ctypes.data, pieces.tokens.ctypes.data
            fields.capacity = pieces.tokens.shape[1]
        fields.rows, fields.logits = len(pieces), scores.data_ptr()
        return self._kernel.run(self._arguments)


_SIZES = (
    *("rows", "words", "capacity", "strict", "top_k"),
    *("eos", "sep", "first_note", "lowest_note", "first_duration"),
)
_POINTERS = ("logits", "allowed", "next", "filters", "pieces", "tokens")


def _allowed_words(mask: Mask) -> Int16[np.ndarray, "S V+1"]:
    """Of each state of the grammar, how many words it allows, and these in ascending order."""
    table = allowed(mask)
    words = np.argsort(~table, axis=1, kind="stable")
    return np.concatenate([table.sum(axis=1, keepdims=True), words], axis=1).astype(np.int16)


def _temperatures(config: GenerateConfig) -> tuple[float, float]:
    """Of notes and waits, and of lengths."""
    return config.temperature, config.duration_temperature or config.temperature
