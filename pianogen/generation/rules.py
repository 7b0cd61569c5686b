"""Which words may come next in every piece of a batch, and when a piece ends.

The rule at a maximum: draw as if there were no maximum, and replace a drawn word that has no room by xxeos. So a
shorter piece is the beginning of a longer one of the same seed. Only two things are never drawn: lengths of notes that
would end after the last step, and, before a minimum is reached, words that have no room.

These are the rules in numpy; pianogen/ops/native/sampling.h is their compiled form. A piece is a record of the type
PIECE; its number of tokens is even at the start of a pair, and odd where a length is due.
"""

import numpy as np
from jaxtyping import Bool, Int, Shaped

from pianogen.config import Mask
from pianogen.generation.pieces import End
from pianogen.tokens.grammar import NEXT_STATE, allowed
from pianogen.tokens.vocab import EOS, FIRST_DURATION, FIRST_NOTE, LOWEST_PITCH, SEP, VOCABULARY_SIZE

_STEPS = np.arange(VOCABULARY_SIZE) - FIRST_DURATION  # of each word, if it is a length


def legal_words(pieces: Shaped[np.ndarray, " B"], mask: Mask) -> Bool[np.ndarray, "B V"]:
    """Mark the words that may come next; every piece has one."""
    words = allowed(mask)[pieces["state"]]
    ends, awaits_length = _may_end(pieces), awaits_lengths(pieces)
    room = pieces["max_steps"] - pieces["clock"]
    longest = np.where(pieces["last"] != SEP, room, np.where(ends, VOCABULARY_SIZE, room - 1))  # a note has to follow
    words &= ~awaits_length[:, None] | (longest[:, None] >= _STEPS)
    _leave_room(words, pieces, ~awaits_length & ~ends, mask)
    return words


def append_words(pieces: Shaped[np.ndarray, " B"], words: Int[np.ndarray, " B"]) -> None:
    """Append a legal word to every piece, as its last one, or end the piece."""
    steps, awaits_length, is_wait = words - FIRST_DURATION, awaits_lengths(pieces), pieces["last"] == SEP
    waits, sounds = awaits_length & is_wait, awaits_length & ~is_wait
    too_long = waits & (pieces["clock"] + steps >= pieces["max_steps"])
    ended = too_long | (~awaits_length & ((words == EOS) | ~_fits(pieces, words)))
    by_model = ended & (words == EOS) & _may_end(pieces)
    pieces["end"] = np.where(by_model, End.MODEL, np.where(ended, End.LIMIT, End.RUNNING))
    pieces["clock"] += np.where(waits & ~too_long, steps, 0)
    pieces["end_step"] = np.maximum(pieces["end_step"], np.where(sounds, pieces["clock"] + steps, 0))
    pieces["has_note"] |= sounds
    pieces["state"] = np.where(ended, pieces["state"], NEXT_STATE[pieces["state"], words])
    pieces["last"] = np.where(ended, EOS, words)
    pieces["length"] += 1 - too_long.astype(np.int64)  # xxeos replaces the xxsep


def awaits_lengths(pieces: Shaped[np.ndarray, " B"]) -> Bool[np.ndarray, " B"]:
    """The pieces whose next word is the length of a note or of a wait."""
    return pieces["length"] % 2 == 1


def _leave_room(
    words: Bool[np.ndarray, "B V"], pieces: Shaped[np.ndarray, " B"], begins: Bool[np.ndarray, " B"], mask: Mask
) -> None:
    """Exclude xxeos and the words that would force it, where a pair begins before a minimum is reached."""
    pairs = _pairs_left(pieces)
    words[:, EOS] &= ~begins
    words[:, SEP] &= ~begins | _fits(pieces, np.full(len(pieces), SEP))
    words[:, FIRST_NOTE:FIRST_DURATION] &= (~begins | (pairs > 0))[:, None]
    if mask == "strict":  # nothing lower could be the last note, and a wait may not be last
        words[:, FIRST_NOTE + LOWEST_PITCH] &= ~(begins & (pairs == 2) & (_pairs_due(pieces) >= 2))
    words[:, EOS] |= ~words.any(axis=1)  # the maximum wins


def _may_end(pieces: Shaped[np.ndarray, " B"]) -> Bool[np.ndarray, " B"]:
    long_enough = (_pairs_due(pieces) == 0) & (pieces["end_step"] >= pieces["min_steps"])
    return long_enough & (pieces["has_note"] != 0)  # the paper mask would let a piece of waits alone end


def _fits(pieces: Shaped[np.ndarray, " B"], words: Int[np.ndarray, " B"]) -> Bool[np.ndarray, " B"]:
    """Whether a pair that begins with the word has room; a wait needs room for a note after it too."""
    pairs = _pairs_left(pieces)
    return np.where(words == SEP, (pairs >= 2) & (pieces["clock"] + 1 < pieces["max_steps"]), pairs >= 1)


def _pairs_left(pieces: Shaped[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
    """Pairs that still fit before xxeos."""
    return (pieces["max_tokens"] - 1 - pieces["length"]) // 2


def _pairs_due(pieces: Shaped[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
    """Pairs that must follow the last whole one before xxeos is allowed."""
    return np.maximum(0, -((pieces["length"] // 2 * 2 + 1 - pieces["min_tokens"]) // 2))
