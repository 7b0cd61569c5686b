"""A piece as server-sent events: everything from its beginning, and then what follows.

Readers look twenty times a second, however fast the engine is: a piece of thousands of words is some dozens of events.

Reference: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from pianogen.play.piece import ENDED, NoteReader, Piece

PERIOD_S = 0.05
_HEARTBEAT_S = 15.0  # proxies close connections that are silent for longer


class _Follower:
    """What one reader has been sent."""

    def __init__(self, piece: Piece) -> None:
        self._piece, self._num_sent, self._position = piece, 0, -1
        self._reader = NoteReader()

    def news(self) -> tuple[list[str], bool]:
        """Events since the last call, and whether the last of them is the end."""
        state = self._piece.state  # before its tokens: they are complete when it says so
        if state == "queued":
            return self._queued(), False
        return [*self._notes(), *([_end(self._piece)] if state in ENDED else [])], state in ENDED

    def _queued(self) -> list[str]:
        position, before = self._piece.position, self._position
        self._position = position
        return [] if position == before else [_event("queued", {"position": position})]

    def _notes(self) -> list[str]:
        tokens, num_prompt = self._piece.tokens, self._piece.num_prompt_notes
        notes, middle = self._reader.read(tokens), max(0, num_prompt - self._num_sent)
        self._num_sent += len(notes)
        return [
            _event("notes", {"notes": part, "prompt": is_prompt, "num_tokens": len(tokens)})
            for part, is_prompt in ((notes[:middle], True), (notes[middle:], False))
            if part
        ]


async def events_of(piece: Piece, has_left: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """The events `queued`, `notes`, and at last `done` or `failed`, until the reader has left."""
    with piece.read():
        follower, silent_s = _Follower(piece), 0.0
        while not await has_left():
            events, is_last = follower.news()
            silent_s = 0.0 if events else silent_s + PERIOD_S
            if silent_s >= _HEARTBEAT_S:
                events, silent_s = [": \n\n"], 0.0
            for event in events:
                yield event
            if is_last:
                return
            await asyncio.sleep(PERIOD_S)


def _end(piece: Piece) -> str:
    if piece.state != "done":
        return _event("failed", {"error": piece.error or "the piece was stopped"})
    seconds = piece.spec.prompt.seconds_per_step
    values = {"num_notes": len(piece.notes()), "num_tokens": len(piece.tokens), "seconds_per_step": seconds}
    return _event("done", values)


def _event(name: str, values: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(values, separators=(',', ':'))}\n\n"
