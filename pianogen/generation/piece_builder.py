"""One unfinished piece: which words may come next, and when it ends.

The rule at a maximum: draw as if there were no maximum, and replace a drawn word that has no room by xxeos. So a
shorter piece is the beginning of a longer one of the same seed. Only two things are never drawn: lengths of notes that
would end after the last step, and, before a minimum is reached, words that have no room.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from pianogen.config import Mask
from pianogen.errors import TokenError
from pianogen.generation.limits import Limits
from pianogen.generation.prompt import clock_and_end
from pianogen.tokens.grammar import NEXT_STATE, allowed, first_violation, states_of
from pianogen.tokens.vocab import EOS, FIRST_DURATION, FIRST_NOTE, LOWEST_PITCH, SEP, VOCABULARY_SIZE, WORDS

EndReason = Literal["xxeos", "limit"]


class PieceBuilder:
    """The tokens so far, their grammar state, and their time in steps."""

    def __init__(self, prompt: Int[np.ndarray, " T"], limits: Limits, mask: Mask) -> None:
        """Start from a prompt: `xxbos xxpad` and whole pairs.

        Raises:
            TokenError: The prompt breaks the grammar, ends inside a pair, or leaves no room for a note.
        """
        _check_prompt(prompt, limits, mask)
        self.tokens = [int(word) for word in prompt]
        self.end_reason: EndReason | None = None
        self._limits = limits
        self._strict = mask == "strict"
        self._allowed = allowed(mask)
        self._state = int(NEXT_STATE[states_of(prompt)[-1], prompt[-1]])
        self.clock, prompt_end = clock_and_end(prompt)  # steps; the clock is the current onset
        self.end_step = 0  # where the last note ends, the prompt's own notes not included
        self._has_note = prompt_end > 0

    @property
    def awaits_length(self) -> bool:
        """Whether the next word is the length of a note or of a wait."""
        return len(self.tokens) % 2 == 1

    def legal(self) -> Bool[np.ndarray, " V"]:
        """Mark the words that may come next; there is always one."""
        words = self._allowed[self._state].copy()
        if not self.awaits_length:
            if not self._may_end():
                self._leave_room(words)
        elif self._limits.max_steps is not None:
            room = self._limits.max_steps - self.clock
            if self.tokens[-1] != SEP:
                words[FIRST_DURATION + room + 1 :] = False
            elif not self._may_end():
                words[FIRST_DURATION + room :] = False  # a note of one step has to follow
        return words

    def append(self, word: int) -> None:
        """Append a word, or end the piece."""
        if not self.awaits_length and (word == EOS or not self._fits(word)):
            self.end_reason = "xxeos" if word == EOS and self._may_end() else "limit"
            self.tokens.append(EOS)
        elif self._waits_too_long(word):
            self.end_reason = "limit"
            self.tokens[-1] = EOS  # in place of the xxsep
        else:
            self._append_word(word)

    def _append_word(self, word: int) -> None:
        if self.awaits_length:
            steps = word - FIRST_DURATION
            if self.tokens[-1] == SEP:
                self.clock += steps
            else:
                self.end_step = max(self.end_step, self.clock + steps)
                self._has_note = True
        self.tokens.append(word)
        self._state = int(NEXT_STATE[self._state, word])

    def _leave_room(self, words: Bool[np.ndarray, " V"]) -> None:
        """Exclude, at the start of a pair, xxeos and the words that would force it, before a minimum is reached."""
        words[EOS] = False
        words[SEP] &= self._fits(SEP)
        pairs = self._limits.pairs_left(len(self.tokens))
        if pairs == 0:
            words[FIRST_NOTE:FIRST_DURATION] = False
        if pairs == 2 <= self._limits.pairs_due(len(self.tokens)) and self._strict:
            words[FIRST_NOTE + LOWEST_PITCH] = False  # nothing lower could be the last note, and a wait may not be last
        if not words.any():
            words[EOS] = True  # the maximum wins

    def _may_end(self) -> bool:
        pair_start = len(self.tokens) // 2 * 2
        long_enough = self._limits.pairs_due(pair_start) == 0 and self.end_step >= self._limits.min_steps
        return long_enough and self._has_note  # the paper mask would let a piece of waits alone end

    def _fits(self, word: int) -> bool:
        """Whether a pair that begins with `word` has room; a wait needs room for a note after it too."""
        pairs = self._limits.pairs_left(len(self.tokens))
        if word != SEP:
            return pairs >= 1
        max_steps = self._limits.max_steps
        return pairs >= 2 and (max_steps is None or self.clock + 1 < max_steps)

    def _waits_too_long(self, word: int) -> bool:
        max_steps = self._limits.max_steps
        is_wait = self.awaits_length and self.tokens[-1] == SEP
        return is_wait and max_steps is not None and self.clock + word - FIRST_DURATION >= max_steps


def _check_prompt(prompt: Int[np.ndarray, " T"], limits: Limits, mask: Mask) -> None:
    violation = first_violation(prompt, mask)
    if violation is not None:
        index = int(prompt[violation])
        word = WORDS[index] if 0 <= index < VOCABULARY_SIZE else "not a word"
        raise TokenError(
            f"position {violation} of the prompt is {index} ({word}), which breaks the {mask} grammar;"
            " encode prompts from notes"
        )
    if len(prompt) < 2 or len(prompt) % 2 or prompt[-1] == EOS:
        raise TokenError(f"the prompt has {len(prompt)} tokens, but must be xxbos xxpad and whole pairs, without xxeos")
    if limits.pairs_left(len(prompt)) < 1:
        raise TokenError(
            f"the prompt has {len(prompt)} tokens, and a piece at most {limits.max_tokens}: no room for a note"
        )
    clock, _ = clock_and_end(prompt)
    if limits.max_steps is not None and clock >= limits.max_steps:
        raise TokenError(
            f"the prompt's last onset is step {clock}, and a piece has {limits.max_steps} steps: no room for a note"
        )
