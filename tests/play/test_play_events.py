"""A reader of a piece that grows is told each note once, and a look at it costs what is new."""

import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import random_notes

from pianogen.generation import Limits, Prompt, Request
from pianogen.play.events import _Follower
from pianogen.play.piece import Piece, notes_in
from pianogen.play.prompts import prompt_of_notes
from pianogen.play.spec import PieceSettings, PieceSpec
from pianogen.tokens import encode


def running(prompt: Prompt | None = None) -> Piece:
    """A piece that an engine would make."""
    prompt, settings = prompt or Prompt(), PieceSettings()
    request = Request(0, Limits(max_tokens=4096), prompt.ids, 1, settings.config())
    return Piece(PieceSpec("pretrained", "0" * 64, 1, settings, prompt), request, "visitor")


def told(events: list[str]) -> list[dict[str, Any]]:
    return [json.loads(event.partition("data: ")[2]) for event in events if event.startswith("event: notes")]


@given(st.lists(st.integers(0, 200), max_size=20), st.integers(1, 40))
def test_however_a_piece_grows_its_reader_is_told_the_notes_of_the_whole(steps: list[int], num_prompt: int) -> None:
    notes = random_notes(3, 60)
    prompt = prompt_of_notes(
        np.stack([notes.onset - notes.onset[0], notes.duration, notes.pitch], axis=1)[:num_prompt].tolist(), 4
    )
    whole = np.concatenate([prompt.ids, encode(random_notes(4, 40))[2:]])
    piece = running(prompt)
    follower, events = _Follower(piece), []
    for step in steps:
        piece.advance(whole[: min(len(whole) - 1, len(piece.tokens) + step)])
        events += told(follower.news()[0])
    piece.tokens, piece.state = whole, "done"
    events += told(follower.news()[0])
    assert [note for event in events for note in event["notes"]] == notes_in(whole)
    of_prompt = [note for event in events if event["prompt"] for note in event["notes"]]
    assert of_prompt == notes_in(prompt.ids)
    assert [event["prompt"] for event in events] == sorted((event["prompt"] for event in events), reverse=True)


def test_a_look_at_a_long_piece_costs_as_much_as_at_a_short_one(capsys: pytest.CaptureFixture[str]) -> None:
    whole = encode(random_notes(5, 2000))
    costs = {}
    for length in (40, len(whole) // 2 * 2 - 40):
        piece = running()
        piece.advance(whole[:length])
        follower, looks_s = _Follower(piece), []
        follower.news()
        for more in range(2, 40, 2):
            piece.advance(whole[: length + more])
            began = time.perf_counter()
            events, _ = follower.news()
            looks_s.append(time.perf_counter() - began)
            assert len(events) <= 1
        costs[length] = min(looks_s)
    (short, of_short), (long, of_long) = costs.items()
    with capsys.disabled():
        print(f"\na look at {long} tokens costs {of_long / of_short:.1f} times one at {short}")
    assert of_long < 4 * of_short
