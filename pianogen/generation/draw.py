"""One word more for every piece of a batch, from the model's scores: in numpy, or as one call of a compiled kernel.

Both give the same words, but for ties within rounding. The kernel (pianogen/ops/native/sampling.h) ends the piece of
each row as this file does, without an array operation in Python.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from pianogen.config import GenerateConfig
from pianogen.generation.choice import Filters, NoiseStream, choose, gumbel
from pianogen.generation.pieces import End, Pieces
from pianogen.generation.rules import append_words, awaits_lengths, legal_words
from pianogen.ops.forms import compiled
from pianogen.ops.native import Kernel, kernels
from pianogen.tokens.grammar import NEXT_STATE, allowed
from pianogen.tokens.vocab import EOS, FIRST_DURATION, FIRST_NOTE, LOWEST_PITCH, SEP, VOCABULARY_SIZE

Draw = Callable[[Float[Tensor, "B V"]], None]


def build_draw(pieces: Pieces, config: GenerateConfig) -> Draw:
    """What appends a word to every piece, ends it, or marks it as failed where its scores are not finite."""
    return (CompiledDraw if compiled(torch.empty(0, device="cpu")) else NumpyDraw)(pieces, config)


class NumpyDraw:
    """The reference."""

    def __init__(self, pieces: Pieces, config: GenerateConfig) -> None:
        self._pieces, self._filters = pieces, Filters.of(config)
        self._temperatures = np.array(_temperatures(config))
        self._streams: dict[int, tuple[tuple[int, int], NoiseStream]] = {}  # by row: as many as rows

    def __call__(self, logits: Float[Tensor, "B V"]) -> None:
        """Append a word to every piece."""
        scores, rows = logits.float().cpu().numpy(), self._pieces.rows
        is_finite = np.isfinite(scores).all(axis=1)
        rows["end"][~is_finite] = End.FAILED
        finite = np.flatnonzero(is_finite)
        if not len(finite):
            return
        pieces, mask = rows[finite], self._pieces.mask
        noise = np.stack([self._noise(row) for row in finite.tolist()])
        temperature = self._temperatures[awaits_lengths(pieces).astype(np.int64)]
        append_words(pieces, choose(scores[finite], legal_words(pieces, mask), noise, temperature, self._filters))
        rows[finite] = pieces
        self._pieces.write_last(finite)

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
        self._kernel = Kernel(library, "append_words", _SIZES, _POINTERS)
        self._arguments = self._kernel.arguments(
            **{"rows": 0, "words": VOCABULARY_SIZE, "capacity": 0, "top_k": min(filters.top_k or 0, VOCABULARY_SIZE)},
            **{"strict": int(pieces.mask == "strict"), "eos": EOS, "sep": SEP, "first_note": FIRST_NOTE},
            **{"lowest_note": FIRST_NOTE + LOWEST_PITCH, "first_duration": FIRST_DURATION, "logits": None},
            **{"allowed": torch.tensor(allowed(pieces.mask), device="cpu"), "pieces": None, "tokens": None},
            next=torch.tensor(NEXT_STATE, device="cpu"),
            filters=torch.tensor([*_temperatures(config), top_p, min_p], dtype=torch.float64, device="cpu"),
        )

    def __call__(self, logits: Float[Tensor, "B V"]) -> None:
        """Append a word to every piece."""
        scores, pieces = logits.float().cpu().contiguous(), self._pieces
        self._kernel.run(
            self._arguments,
            **{"rows": len(pieces), "capacity": pieces.tokens.shape[1], "logits": scores.data_ptr()},
            **{"pieces": pieces.rows.ctypes.data, "tokens": pieces.tokens.ctypes.data},
        )


_SIZES = (
    *("rows", "words", "capacity", "strict", "top_k"),
    *("eos", "sep", "first_note", "lowest_note", "first_duration"),
)
_POINTERS = ("logits", "allowed", "next", "filters", "pieces", "tokens")


def _temperatures(config: GenerateConfig) -> tuple[float, float]:
    """Of notes and waits, and of lengths."""
    return config.temperature, config.duration_temperature or config.temperature
