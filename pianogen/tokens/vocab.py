"""The 312 words and their ids, compatible with musicautobot.

Reference: musicautobot `vocab.py`; Abbou (2020), DeepClassic, section 3.1.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Int

from pianogen.config import TokenizerConfig
from pianogen.errors import TokenError

SPECIAL_WORDS = ("xxbos", "xxpad", "xxeos", "xxs2scls", "xxmask", "xxcseq", "xxmseq", "xxnscls", "xxsep")
BOS, PAD, EOS, SEP = 0, 1, 2, 8
NUM_PITCHES = 128
FIRST_NOTE = len(SPECIAL_WORDS)  # id of n0
FIRST_DURATION = FIRST_NOTE + NUM_PITCHES  # id of d0
MAX_WAIT_STEPS = 160  # the longest wait, d160
MAX_NOTE_STEPS = 128  # the longest note, d128
LAST_DURATION = FIRST_DURATION + MAX_WAIT_STEPS
LOWEST_PITCH = 21  # MIDI number of A0
HIGHEST_PITCH = 108  # MIDI number of C8

WORDS: tuple[str, ...] = (
    *SPECIAL_WORDS,
    *(f"n{pitch}" for pitch in range(NUM_PITCHES)),
    *(f"d{steps}" for steps in range(MAX_WAIT_STEPS + 1)),
    *(f"mt{index}" for index in range(10)),
    *(f"dummy{index}" for index in range(4)),
)
VOCABULARY_SIZE = len(WORDS)
_ID_OF_WORD = {word: index for index, word in enumerate(WORDS)}


def fingerprint(config: TokenizerConfig) -> str:
    """SHA-256 of the vocabulary and the tokenizer's settings; token ids are comparable if it is equal."""
    text = json.dumps({"words": WORDS, **asdict(config)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def words_of(ids: Int[np.ndarray, " T"] | Sequence[int]) -> list[str]:
    """Convert token ids to words."""
    return [WORDS[index] for index in ids]


def ids_of(words: Sequence[str]) -> Int[np.ndarray, " T"]:
    """Convert words to int16 token ids.

    Raises:
        TokenError: A word is not in the vocabulary.
    """
    try:
        return np.array([_ID_OF_WORD[word] for word in words], dtype=np.int16)
    except KeyError as error:
        word: Any = error.args[0]
        position = list(words).index(word)
        raise TokenError(
            f"word {position} is {word!r}, which is not in the vocabulary; words are xxbos, n60, d4, xxsep, ..."
        ) from error
