"""The memories of a batch as views of a buffer with room behind each row, so that most steps need not move them.

A view is an ordinary (B, W, H) tensor: its rows may be written, taken and joined with others between two steps.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_ROOM = 64  # vectors: what moving costs is divided by as many steps


class SlidingMemories:
    """Makes room for the next vector of each row: the memory after a step, but for that vector."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._buffer = torch.empty(0, dtype=dtype, device="cpu")

    def after(self, before: Float[Tensor, "B W H"]) -> Float[Tensor, "B W H"]:
        """A view that usually shares all but a vector with `before`, which must then not be used again.

        Where a row has no room left, its memory is moved to its beginning; memories from elsewhere are copied.
        """
        if not self._holds(before):
            return self._copied(before)
        _, window, units = before.shape
        start = int(before.storage_offset())
        place = int(start % self._buffer.stride(0)) // units
        if place + window < self._buffer.shape[1]:
            return before.as_strided(before.shape, before.stride(), start + units)
        return self._moved(before, start - place * units)

    def _holds(self, memories: Tensor) -> bool:
        storages = (memories.untyped_storage().data_ptr(), self._buffer.untyped_storage().data_ptr())
        return storages[0] == storages[1] and memories.stride() == self._buffer.stride()

    @torch.no_grad()
    @torch.inference_mode(False)  # or the buffer could not be written outside of that mode
    def _copied(self, before: Float[Tensor, "B W H"]) -> Float[Tensor, "B W H"]:
        rows, window, units = before.shape
        self._buffer = self._buffer.new_empty(rows, window + min(window, _ROOM), units)
        self._buffer[:, : window - 1] = before[:, 1:]
        return self._buffer[:, :window]

    @torch.no_grad()
    def _moved(self, before: Float[Tensor, "B W H"], start: int) -> Float[Tensor, "B W H"]:
        after = before.as_strided(before.shape, before.stride(), start)
        for memory, old in zip(after, before, strict=True):
            memory[:-1] = old[1:].clone()  # they may overlap
        return after
