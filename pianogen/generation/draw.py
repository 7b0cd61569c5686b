"""One word more for every piece of a batch, from the model's scores: in numpy, or as one call of a compiled kernel.

Both give the same words, but for ties within rounding. The kernel (pianogen/ops/native/sampling.h) ends the piece of
each row as this file does, without an array operation in Python.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int16, Int64, Shaped
from torch import Tensor

from pianogen.config import Mask
from pianogen.generation.choice import Filters, NoiseStream, choose, gumbel
from pianogen.generation.pieces import End, Pieces
from pianogen.generation.rules import append_words, awaits_lengths, legal_words
from pianogen.ops.forms import compiled
from pianogen.ops.native import Kernel, kernels
from pianogen.tokens.grammar import NEXT_STATE, allowed
from pianogen.tokens.vocab import EOS, FIRST_DURATION, FIRST_NOTE, LOWEST_PITCH, SEP, VOCABULARY_SIZE

Draw = Callable[[Float[Tensor, "B V"]], int]


def build_draw(pieces: Pieces) -> Draw:
    """What appends a word to every piece, ends it, or marks it as failed where its scores are not finite."""
    return (CompiledDraw if compiled(torch.empty(0, device="cpu")) else NumpyDraw)(pieces)


class NumpyDraw:
    """The reference."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
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
            legal = legal_words(pieces, self._pieces.mask)
            append_words(pieces, _choose(pieces, scores[finite], legal, noise))
            rows[finite] = pieces
            self._pieces.write_last(finite)
        return int(np.count_nonzero(rows["end"]))

    def _noise(self, row: int) -> Float64[np.ndarray, " V"]:
        piece = self._pieces.rows[row]
        key = int(piece["seed"]), int(piece["number"])
        if row not in self._streams or self._streams[row][0] != key:
            self._streams[row] = key, NoiseStream(*key)
        return gumbel(self._streams[row][1].bits(int(piece["length"])))


def _choose(
    pieces: Shaped[np.ndarray, " B"],
    scores: Float[np.ndarray, "B V"],
    legal: Bool[np.ndarray, "B V"],
    noise: Float64[np.ndarray, "B V"],
) -> Int64[np.ndarray, " B"]:
    """A word for each piece by its own temperatures and filters; pieces of equal filters are chosen together."""
    words = np.empty(len(pieces), dtype=np.int64)
    temperature = np.where(awaits_lengths(pieces), pieces["length_temperature"], pieces["kind_temperature"])
    kinds, kind_of = np.unique(pieces[["top_k", "top_p", "min_p"]], return_inverse=True)
    for kind, (top_k, top_p, min_p) in enumerate(kinds.tolist()):
        rows, filters = kind_of == kind, Filters(top_k or None, top_p, min_p or None)
        words[rows] = choose(scores[rows], legal[rows], noise[rows], temperature[rows], filters)
    return words


class CompiledDraw:
    """The compiled form."""

    def __init__(self, pieces: Pieces) -> None:
        library = kernels()
        assert library is not None
        self._pieces, self._tokens = pieces, None
        self._kernel = Kernel(library, "append_words", _SIZES, _POINTERS)
        self._arguments = self._kernel.arguments(
            **{"rows": 0, "words": VOCABULARY_SIZE, "capacity": 0, "strict": int(pieces.mask == "strict")},
            **{"eos": EOS, "sep": SEP, "first_note": FIRST_NOTE},
            **{"lowest_note": FIRST_NOTE + LOWEST_PITCH, "first_duration": FIRST_DURATION, "logits": None},
            **{"allowed": torch.tensor(_allowed_words(pieces.mask), device="cpu"), "pieces": None, "tokens": None},
            next=torch.tensor(NEXT_STATE, device="cpu"),
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
    *("rows", "words", "capacity", "strict"),
    *("eos", "sep", "first_note", "lowest_note", "first_duration"),
)
_POINTERS = ("logits", "allowed", "next", "pieces", "tokens")


def _allowed_words(mask: Mask) -> Int16[np.ndarray, "S V+1"]:
    """Of each state of the grammar, how many words it allows, and these in ascending order."""
    table = allowed(mask)
    words = np.argsort(~table, axis=1, kind="stable")
    return np.concatenate([table.sum(axis=1, keepdims=True), words], axis=1).astype(np.int16)
