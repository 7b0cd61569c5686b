"""Allowed next words: integer states and two masks, shared by training, evaluation and sampling.

Canonical streams are `xxbos xxpad (xxsep D)? ((note D)+ xxsep D)* (note D)+ xxeos`, pitches descending within a group.
- mask `paper` enforces complete pairs: after a pair, any note, xxsep or xxeos.
- mask `strict` also requires a note after a wait, and a lower pitch after a note: it allows only canonical streams.

A state depends on the last two tokens: position in the pair, kind of the last pair, last pitch. A forbidden word leads
to END, which allows no word: its row of a mask is all false. Shapes: S states, V words, T tokens.

Reference: Abbou (2020), DeepClassic, section 3.2.
"""

from functools import cache
from typing import get_args

import numpy as np
from jaxtyping import Bool, Int, Int16

from pianogen.config import Mask
from pianogen.tokens.vocab import (
    BOS,
    EOS,
    FIRST_DURATION,
    FIRST_NOTE,
    HIGHEST_PITCH,
    LAST_DURATION,
    LOWEST_PITCH,
    MAX_NOTE_STEPS,
    MAX_WAIT_STEPS,
    PAD,
    SEP,
    VOCABULARY_SIZE,
)

START_OF_STREAM, AFTER_BOS, AFTER_PAD, WAIT, AFTER_WAIT, END = range(6)
_NUM_KEYS = HIGHEST_PITCH - LOWEST_PITCH + 1
FIRST_NOTE_STATE = 6  # after n21, before its length; one state per key
FIRST_AFTER_NOTE_STATE = FIRST_NOTE_STATE + _NUM_KEYS  # after n21 and its length; one state per key
NUM_STATES = FIRST_AFTER_NOTE_STATE + _NUM_KEYS

_KEYS = np.arange(_NUM_KEYS)
_NOTE_WORDS = FIRST_NOTE + LOWEST_PITCH + _KEYS
_NEVER_LEGAL = VOCABULARY_SIZE - 1  # a dummy word that replaces ids outside the vocabulary


@cache
def allowed(mask: Mask) -> Bool[np.ndarray, "S V"]:
    """The words allowed in each state, as a read-only table."""
    assert mask in get_args(Mask)
    table = np.zeros((NUM_STATES, VOCABULARY_SIZE), dtype=bool)
    table[START_OF_STREAM, BOS] = True
    table[AFTER_BOS, PAD] = True
    table[WAIT, FIRST_DURATION + 1 : FIRST_DURATION + MAX_WAIT_STEPS + 1] = True
    table[FIRST_NOTE_STATE:FIRST_AFTER_NOTE_STATE, FIRST_DURATION + 1 : FIRST_DURATION + MAX_NOTE_STEPS + 1] = True
    for state in (AFTER_PAD, AFTER_WAIT):
        table[state, _NOTE_WORDS] = True
    table[AFTER_PAD, SEP] = True
    table[FIRST_AFTER_NOTE_STATE:, [SEP, EOS]] = True
    if mask == "paper":
        table[AFTER_WAIT, [SEP, EOS]] = True
        table[FIRST_AFTER_NOTE_STATE:, _NOTE_WORDS] = True
    else:
        lower = _KEYS[None, :] < _KEYS[:, None]
        table[FIRST_AFTER_NOTE_STATE:, _NOTE_WORDS] = lower
    table.flags.writeable = False
    return table


def _state_after_word() -> Int16[np.ndarray, " V"]:
    """The state after each word other than a duration, if the word is legal."""
    after = np.full(VOCABULARY_SIZE, END, dtype=np.int16)
    after[[BOS, PAD, SEP]] = AFTER_BOS, AFTER_PAD, WAIT
    after[_NOTE_WORDS] = FIRST_NOTE_STATE + _KEYS
    return after


def _state_after_length() -> Int16[np.ndarray, " V"]:
    """The state after a duration, by the word before it."""
    after = np.full(VOCABULARY_SIZE, END, dtype=np.int16)
    after[SEP] = AFTER_WAIT
    after[_NOTE_WORDS] = FIRST_AFTER_NOTE_STATE + _KEYS
    return after


_AFTER_WORD = _state_after_word()
_AFTER_TWO = np.concatenate([_AFTER_WORD, _state_after_length()])


def _next_state() -> Int16[np.ndarray, "S V"]:
    table = np.tile(_AFTER_WORD, (NUM_STATES, 1))
    lengths = slice(FIRST_DURATION, LAST_DURATION + 1)
    table[WAIT, lengths] = AFTER_WAIT
    table[FIRST_NOTE_STATE:FIRST_AFTER_NOTE_STATE, lengths] = (FIRST_AFTER_NOTE_STATE + _KEYS)[:, None]
    table[~allowed("paper")] = END
    table.flags.writeable = False
    return table


NEXT_STATE: Int16[np.ndarray, "S V"] = _next_state()
"""The state after a word chosen in a state; END where neither mask allows the word."""


def states_of(ids: Int[np.ndarray, " T"], start: int = START_OF_STREAM) -> Int16[np.ndarray, " T"]:
    """The state before each token, starting with `start`; END after the first illegal word."""
    ids = _words_only(ids)
    states = _states_if_legal(ids, start)
    illegal = _first_false(allowed("paper"), states, ids)
    if illegal is not None:
        states[illegal + 1 :] = END
    return states


def states_after(before: Int[np.ndarray, " T"], last: Int[np.ndarray, " T"]) -> Int16[np.ndarray, " T"]:
    """The state after each word `last` that legally follows `before`, which matters only if `last` is a length."""
    is_duration = (last >= FIRST_DURATION) & (last <= LAST_DURATION)
    return _AFTER_TWO[np.where(is_duration, VOCABULARY_SIZE + before, last)]


def first_violation(ids: Int[np.ndarray, " T"], mask: Mask, start: int = START_OF_STREAM) -> int | None:
    """The position of the first token that the mask forbids, or None."""
    ids = _words_only(ids)
    return _first_false(allowed(mask), _states_if_legal(ids, start), ids)


def legal(ids: Int[np.ndarray, " T"], mask: Mask) -> bool:
    """Whether the mask allows every token; xxeos may be missing."""
    return first_violation(ids, mask) is None


def expectation(state: int) -> str:
    """What the paper mask allows in a state, as text for an error message."""
    if state >= FIRST_NOTE_STATE:
        needs_length = state < FIRST_AFTER_NOTE_STATE
        return f"a length d1..d{MAX_NOTE_STEPS}" if needs_length else _EXPECTATIONS[AFTER_WAIT]
    return _EXPECTATIONS[state]


_EXPECTATIONS = {
    START_OF_STREAM: "xxbos",
    AFTER_BOS: "xxpad",
    AFTER_PAD: f"a note n{LOWEST_PITCH}..n{HIGHEST_PITCH} or xxsep",
    WAIT: f"a wait d1..d{MAX_WAIT_STEPS}",
    AFTER_WAIT: f"a note n{LOWEST_PITCH}..n{HIGHEST_PITCH}, xxsep or xxeos",
    END: "no further token, the stream has ended",
}


def _words_only(ids: Int[np.ndarray, " T"]) -> Int[np.ndarray, " T"]:
    ids = np.asarray(ids)
    known = (ids >= 0) & (ids < VOCABULARY_SIZE)
    return ids if known.all() else np.where(known, ids, _NEVER_LEGAL)


def _states_if_legal(ids: Int[np.ndarray, " T"], start: int) -> Int16[np.ndarray, " T"]:
    """States up to and including the first illegal token; those after it are undefined.

    Each state depends on two tokens only, so all are computed at once.
    """
    states = np.empty(len(ids), dtype=np.int16)
    states[:1] = start
    if len(ids) < 2:
        return states
    states[1] = NEXT_STATE[start, ids[0]]
    states[2:] = states_after(ids[:-2], ids[1:-1])
    return states


def _first_false(
    table: Bool[np.ndarray, "S V"], states: Int16[np.ndarray, " T"], ids: Int[np.ndarray, " T"]
) -> int | None:
    admitted = table.ravel()[states.astype(np.int64) * VOCABULARY_SIZE + ids]
    return None if admitted.all() else int(np.argmin(admitted))
