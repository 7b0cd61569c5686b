"""An ID holds all that decides a piece, and a damaged one is refused."""

import base64
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import random_notes

from pianogen.config import GenerateConfig
from pianogen.errors import SettingError
from pianogen.generation import Prompt, plan_limits
from pianogen.generation.pieces import Pieces
from pianogen.play.piece import notes_in
from pianogen.play.prompts import cut, prompt_of_notes
from pianogen.play.spec import MAX_ID_CHARACTERS, PieceSettings, PieceSpec
from pianogen.tokens import decode, encode

SHA256 = "0123456789abcdef" * 4
NOTES = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 128), st.integers(21, 108)), min_size=1, max_size=40)
PROMPTS = st.builds(
    prompt_of_notes, NOTES, st.sampled_from([4, 12]), st.floats(20, 300), st.sampled_from([(4, 4), (3, 4), (6, 8)])
)
SETTINGS = st.builds(
    PieceSettings,
    tokens=st.none() | st.integers(5, 5000),
    bars=st.none() | st.floats(0.5, 100),
    temperature=st.floats(0.01, 5),
    top_p=st.none() | st.floats(0.01, 1),
    top_k=st.none() | st.integers(1, 400),
)
SPECS = st.builds(
    PieceSpec, st.text(min_size=1, max_size=20), st.just(SHA256), st.integers(0, 2**53 - 1), SETTINGS, PROMPTS
)


@given(SPECS)
def test_an_id_gives_back_what_it_was_made_of(spec: PieceSpec):
    again = PieceSpec.decode(spec.encode())
    assert (again.model, again.seed, again.settings) == (spec.model, spec.seed, spec.settings)
    assert spec.sha256.startswith(again.sha256)
    assert again.prompt.ids.tolist() == spec.prompt.ids.tolist()
    assert replace(again.prompt, ids=spec.prompt.ids) == spec.prompt
    assert again.encode() == spec.encode()


def test_settings_of_a_piece_have_the_defaults_of_generate():
    defaults = {name: setting.default for name, setting in PieceSettings.model_fields.items()}
    assert defaults == {name: getattr(GenerateConfig, name) for name in defaults}


@given(PROMPTS, st.floats(1, 1e6), st.floats(0.01, 1e6))
def test_every_length_that_is_permitted_fits_in_the_record_of_a_piece(prompt: Prompt, longest: float, shortest: float):
    settings = PieceSettings(seconds=longest, min_bars=shortest, tokens=len(prompt.ids) + 3).config()
    Pieces(1, "strict").start(0, prompt.ids, plan_limits(settings, prompt), 0, 0, settings)


@given(SPECS, st.data())
def test_a_damaged_id_is_refused_or_another_valid_one(spec: PieceSpec, data: st.DataObject):
    made = spec.encode()
    at = data.draw(st.integers(0, len(made) - 1))
    damaged = made[:at] + data.draw(st.sampled_from("Aa0-_%.é")) + made[at + 1 :]
    try:
        found = PieceSpec.decode(damaged)
    except SettingError:
        return
    assert len(decode(found.prompt.ids, allow_open=True)) == len(notes_in(found.prompt.ids))


@given(SPECS, st.data())
def test_a_part_of_an_id_is_refused(spec: PieceSpec, data: st.DataObject):
    made = spec.encode()
    with pytest.raises(SettingError, match="a part of it is missing"):
        PieceSpec.decode(made[: data.draw(st.integers(0, len(made) - 1))])


@given(st.text())
def test_any_text_is_refused_in_one_line(text: str):
    with pytest.raises(SettingError, match="is not the ID of a piece"):
        PieceSpec.decode(text)


def test_an_id_that_decompresses_to_a_gigabyte_is_refused_without_its_memory():
    packed = zlib.compress(b"x" * 8_000_000, 9)
    with pytest.raises(SettingError, match="is not the ID of a piece"):
        PieceSpec.decode(base64.urlsafe_b64encode(packed).decode())


@pytest.mark.parametrize("ids", [[311, 0, 1], [6, 1], [5, 300, 80, 301, 80, 301], [8, 155, 8, 156], [80, 155, 5, 153]])
def test_tokens_that_no_prompt_has_are_refused(ids: list[int]):
    start = Prompt().ids
    forged = Prompt(np.concatenate([start, np.array(ids, np.int16)]), num_steps=1)
    made = PieceSpec("m", SHA256, 0, PieceSettings(), forged).encode()
    with pytest.raises(SettingError, match="is not the ID of a piece"):
        PieceSpec.decode(made)


def test_a_prompt_that_no_link_can_hold_is_refused():
    random = np.random.default_rng(0)
    notes = np.stack([random.integers(low, high, 9000) for low, high in ((0, 9000), (1, 90), (21, 109))], axis=1)
    prompt = prompt_of_notes(notes.tolist(), 4)
    with pytest.raises(SettingError, match=f"too many for a link of {MAX_ID_CHARACTERS} characters"):
        PieceSpec("m", SHA256, 0, PieceSettings(), prompt).encode()


@given(st.integers(0, 50), st.integers(1, 60))
def test_the_notes_of_a_beginning_are_the_first_notes_of_the_whole(seed: int, num: int):
    ids = encode(random_notes(seed, 40))
    whole, table = notes_in(ids), decode(ids)
    assert whole == np.stack([table.onset, table.duration, table.pitch], axis=1).tolist()
    assert notes_in(ids[: 2 + num]) == whole[: len(notes_in(ids[: 2 + num]))]


@given(NOTES, st.integers(1, 400))
def test_notes_are_cut_at_their_own_steps_even_after_waits_that_no_token_can_say(notes: list[Any], end_step: int):
    before = [note for note in notes if note[0] < end_step]
    if before:
        made, expected = prompt_of_notes(notes, 4, end_step=end_step), prompt_of_notes(before, 4)
        assert made.ids.tolist() == expected.ids.tolist()
        assert made.clock < made.num_steps <= expected.num_steps


@given(st.integers(0, 50), st.integers(1, 100))
def test_a_cut_prompt_has_the_notes_before_the_step(seed: int, end_step: int):
    notes = notes_in(encode(random_notes(seed, 40)))
    prompt = prompt_of_notes([(start, length, pitch) for start, length, pitch in notes], 4)
    before = [note for note in notes if note[0] < end_step]
    if not before:
        with pytest.raises(SettingError, match="first note starts at step"):
            cut(prompt, end_step)
        return
    assert notes_in(cut(prompt, end_step).ids) == before
    assert cut(prompt, end_step).num_steps <= end_step
