"""Note tables to token ids and back, vectorized.

A stream is `xxbos xxpad`, then pairs, then `xxeos`: a note pair is `n60 d4`, a wait pair `xxsep d2`, counted from the
previous onset. Shapes: N notes, T tokens.

Reference: musicautobot `numpy_encode.py`; Abbou (2020), DeepClassic, section 3.1.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Int16

from pianogen.config import TokenizerConfig
from pianogen.errors import TokenError
from pianogen.tokens import grammar
from pianogen.tokens.notes import Notes, QuantisationReport, RawNotes, canonical, quantise, waits
from pianogen.tokens.vocab import (
    BOS,
    EOS,
    FIRST_DURATION,
    FIRST_NOTE,
    MAX_WAIT_STEPS,
    PAD,
    SEP,
    VOCABULARY_SIZE,
    WORDS,
)


def encode(notes: Notes) -> Int16[np.ndarray, " T"]:
    """Encode a note table as token ids; waits are capped at d160, trailing silence is left out.

    Raises:
        TokenError: There are no notes.
    """
    if len(notes) == 0:
        raise TokenError("there are no notes to encode; a stream needs at least one note from A0 to C8")
    wait = np.minimum(waits(notes), MAX_WAIT_STEPS)
    pairs = np.empty((len(notes), 2, 2), dtype=np.int16)  # a wait pair and a note pair each; waits of 0 are dropped
    pairs[:, 0, 0], pairs[:, 0, 1] = SEP, wait + FIRST_DURATION
    pairs[:, 1, 0], pairs[:, 1, 1] = notes.pitch + FIRST_NOTE, notes.duration + FIRST_DURATION
    written = np.ones((len(notes), 2), dtype=bool)
    np.greater(wait, 0, out=written[:, 0])
    packed = pairs.view(np.int32)[..., 0]  # a pair as one number
    body = packed[written].view(np.int16)
    return np.concatenate((np.array([BOS, PAD], dtype=np.int16), body, np.array([EOS], dtype=np.int16)))


def decode(ids: Int[np.ndarray, " T"] | Sequence[int], *, allow_open: bool = False) -> Notes:
    """Decode token ids into a note table; consecutive waits add up, of equal notes on one step the longest is kept.

    Every stream that either mask allows is accepted. The table is empty if the stream has only waits.

    Args:
        allow_open: Accept a stream without xxeos; it must still end with a complete pair.

    Raises:
        TokenError: A token is not allowed at its position, or the stream is incomplete; the message names the position.
    """
    ids = np.asarray(ids)
    ids = ids if ids.size else ids.astype(np.int16)  # an empty list becomes float64
    _check(ids, allow_open)
    body = ids[2:-1] if ids[-1] == EOS else ids[2:]
    words, lengths = body.reshape(-1, 2).astype(np.int64).T
    is_note = words != SEP
    steps = lengths - FIRST_DURATION
    clock = np.cumsum(np.where(is_note, 0, steps))
    return canonical(clock[is_note], steps[is_note], words[is_note] - FIRST_NOTE)


def tokenize(raw: RawNotes, config: TokenizerConfig) -> tuple[Int16[np.ndarray, " T"], QuantisationReport]:
    """Quantise and encode a performance; returns its token ids and the quantisation report.

    Raises:
        TokenError: No notes are left.
    """
    notes, report = quantise(raw, config)
    if len(notes) == 0:
        raise TokenError(
            f"no notes are left of {report.read} read: {report.out_of_range} are outside A0..C8, "
            f"{report.dropped_short} are shorter than half a step; use another file or finer steps"
        )
    return encode(notes), report


def _check(ids: np.ndarray, allow_open: bool) -> None:
    if ids.ndim != 1 or not (np.issubdtype(ids.dtype, np.integer) or ids.size == 0):
        raise TokenError(f"tokens must be a one-dimensional array of integers, not {ids.dtype} of shape {ids.shape}")
    position = grammar.first_violation(ids, "paper")
    if position is not None:
        expected = grammar.expectation(int(grammar.states_of(ids[: position + 1])[-1]))
        raise TokenError(f"token {position} is {_described(int(ids[position]))}; expected {expected}")
    if len(ids) > 0 and ids[-1] == EOS:
        return
    state = int(grammar.NEXT_STATE[grammar.states_of(ids)[-1], ids[-1]]) if len(ids) else grammar.START_OF_STREAM
    between_pairs = state in (grammar.AFTER_PAD, grammar.AFTER_WAIT) or state >= grammar.FIRST_AFTER_NOTE_STATE
    if not (allow_open and between_pairs):
        raise TokenError(f"the stream ends at token {len(ids)}; expected {grammar.expectation(state)}")


def _described(index: int) -> str:
    return f"{index} ({WORDS[index]})" if 0 <= index < VOCABULARY_SIZE else f"{index}, which is not in the vocabulary"
