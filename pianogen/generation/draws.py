"""Random draws that depend on (seed, piece, position) alone, so that a piece is the same in any batch.

Philox is a counter-based generator: its key is (seed, piece), and each position owns 312 numbers of the stream, one for
each word. Gumbel noise added to log-probabilities turns argmax into an exact draw from the distribution.

Reference: Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3; Gumbel (1954).
"""

import numpy as np
from jaxtyping import Float64, UInt64

from pianogen.tokens.vocab import VOCABULARY_SIZE

_KEY_MASK = (1 << 64) - 1  # a key is two 64-bit numbers; a negative seed wraps
_NUMBERS_PER_BLOCK = 4  # Philox4x64
_BLOCKS_PER_POSITION = VOCABULARY_SIZE // _NUMBERS_PER_BLOCK
assert VOCABULARY_SIZE % _NUMBERS_PER_BLOCK == 0, "a position must own whole blocks, or a jump would miss its start"


class Draws:
    """The noise of one piece, position by position.

    Reading on is ten times cheaper than making a generator anew, so the stream is kept and jumps only when it must.
    """

    def __init__(self, seed: int, piece: int) -> None:
        self._stream = np.random.Philox(key=np.array([seed & _KEY_MASK, piece & _KEY_MASK], dtype=np.uint64))
        self._next_position = 0

    def bits(self, position: int) -> UInt64[np.ndarray, " V"]:
        """Random bits for each word at `position` of the stream of tokens."""
        if position != self._next_position:
            # advance() wraps around 2**256, so that a jump backwards is one forwards
            self._stream.advance((position - self._next_position) * _BLOCKS_PER_POSITION % (1 << 256))
        self._next_position = position + 1
        return self._stream.random_raw(VOCABULARY_SIZE)


def gumbel(bits: UInt64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Turn random bits into standard Gumbel noise, always finite."""
    # 52 of the bits and a half lie strictly between 0 and 1, both of which would be infinite
    uniform = ((bits >> np.uint64(12)) + 0.5) * 2.0**-52
    return -np.log(-np.log(uniform))
