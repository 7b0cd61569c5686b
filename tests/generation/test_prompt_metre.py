"""Whatever time signature a prompt's file holds, its pieces are written."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic.core import ScoreTick, TimeSignatureTick
from test_job import SmallRun, make

from pianogen.config import GenerateConfig, RenderConfig, TokenizerConfig
from pianogen.errors import PianogenError
from pianogen.generation import prompt
from pianogen.generation.prompt import read_prompt
from pianogen.render import piano_roll
from pianogen.render.job import render
from pianogen.tokens import Notes, decode, engrave, midi_bytes, read_midi, write_midi, write_musicxml
from pianogen.tokens.metre import plausible_metre
from pianogen.tokens.vocab import ids_of

NOTES = Notes(np.array([0, 4, 40]), np.array([4, 4, 70]), np.array([60, 64, 40]))
CONFIG = GenerateConfig(num=1, tokens=20, musicxml=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255).map(lambda power: 2**power), st.sampled_from([4, 8, 12]))
def test_any_time_signature_of_a_midi_file_can_be_engraved(
    tmp_path_factory: pytest.TempPathFactory, beats: int, unit: int, steps_per_quarter: int
) -> None:
    path = tmp_path_factory.mktemp("score") / "piece.musicxml"
    write_musicxml(NOTES, path, steps_per_quarter=steps_per_quarter, time_signature=(beats, unit))
    assert path.stat().st_size


@pytest.mark.parametrize("metre", [(4, 4), (3, 4), (6, 8), (7, 16), (2, 2), (1, 8), (32, 4), (31, 32), (64, 8), (8, 1)])
@pytest.mark.parametrize("steps_per_quarter", [4, 12])
def test_a_plausible_metre_is_written_as_it_is(metre: tuple[int, int], steps_per_quarter: int, tmp_path: Path) -> None:
    write_musicxml(NOTES, tmp_path / "a.musicxml", steps_per_quarter=steps_per_quarter, time_signature=metre)
    text = (tmp_path / "a.musicxml").read_text()
    assert f"<beats>{metre[0]}</beats>" in text
    assert f"<beat-type>{metre[1]}</beat-type>" in text


@pytest.mark.parametrize("metre", [(255, 1), (0, 4), (4, 0), (4, 3), (1, 64), (4, 2**255), (65, 64), (-3, 4), None])
def test_an_implausible_metre_is_common_time(metre: tuple[int, int] | None) -> None:
    assert plausible_metre(metre) == (4, 4)


def test_bars_too_many_for_a_page_become_common_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engrave, "_MAX_BARS", 100)
    notes = Notes(np.array([0, 204]), np.array([4, 4]), np.array([60, 64]))
    with pytest.raises(PianogenError, match="may have at most"):
        write_musicxml(replace(notes, onset=notes.onset * 10), tmp_path / "a.musicxml", time_signature=(1, 8))
    write_musicxml(notes, tmp_path / "a.musicxml", time_signature=(1, 8))
    assert "<beats>4</beats>" in (tmp_path / "a.musicxml").read_text()


def with_metre(path: Path, beats: int, unit: int) -> Path:
    """A MIDI file in that metre."""
    write_midi(NOTES, path)
    score = ScoreTick.from_file(str(path))
    score.time_signatures.append(TimeSignatureTick(0, beats, unit))
    score.dump_midi(str(path))
    return path


@pytest.mark.parametrize("metre", [(255, 1), (0, 4), (255, 128), (1, 128)])
def test_a_prompt_in_a_strange_metre_does_not_stop_a_job(metre: tuple[int, int], tmp_path: Path) -> None:
    path = with_metre(tmp_path / "prompt.mid", *metre)
    config = replace(CONFIG, prompt=str(path), prompt_bars=1.0)
    (piece,) = make(SmallRun(tmp_path / "run"), tmp_path / "out", config)
    assert piece.with_suffix(".musicxml").exists()


def test_a_picture_has_the_bars_of_the_prompts_metre(tmp_path: Path) -> None:
    prompt = with_metre(tmp_path / "prompt.mid", 3, 4)
    config = GenerateConfig(num=1, tokens=20, piano_roll=True, prompt=str(prompt))
    (piece,) = make(SmallRun(tmp_path / "run"), tmp_path / "out", config)
    sidecar, drawn = json.loads(piece.with_suffix(".json").read_text()), io.BytesIO()
    notes, prompt_steps = decode(ids_of(sidecar["words"].split())), sidecar["prompt_steps"]
    piano_roll(notes, drawn, bar_steps=12, prompt_steps=prompt_steps, title=f"{sidecar['run']}, piece 0000")
    assert piece.with_suffix(".png").read_bytes() == drawn.getvalue()


@pytest.mark.parametrize("metre", [(3, 4), (7, 8), (4, 4), (255, 1)])
def test_a_piece_has_the_metre_of_its_prompt_in_its_file_too(metre: tuple[int, int], tmp_path: Path) -> None:
    """Programs, `pianogen render` and a continuation of the piece find its bars there."""
    path = with_metre(tmp_path / "prompt.mid", *metre)
    config = replace(CONFIG, prompt=str(path))
    (piece,) = make(SmallRun(tmp_path / "run"), tmp_path / "out", config)
    assert read_prompt(piece, TokenizerConfig()).time_signature == plausible_metre(metre)


def test_a_piece_in_common_time_has_the_bytes_of_a_file_without_a_time_signature() -> None:
    assert midi_bytes(NOTES, time_signature=(4, 4)) == midi_bytes(NOTES)
    assert midi_bytes(NOTES, time_signature=(4, 3)) == midi_bytes(NOTES)


def test_rendering_a_piece_writes_the_score_that_was_written_beside_it(tmp_path: Path) -> None:
    path = with_metre(tmp_path / "prompt.mid", 3, 4)
    (piece,) = make(SmallRun(tmp_path / "run"), tmp_path / "out", replace(CONFIG, prompt=str(path)))
    render([piece], tmp_path / "again", RenderConfig(wav=False, svg=False, piano_roll=False, musicxml=True))
    first, again = (
        re.sub(r"P[0-9a-f]{32}", "P", score.read_text())  # music21 draws the name of a part
        for score in (piece.with_suffix(".musicxml"), tmp_path / "again" / "0000.musicxml")
    )
    assert first == again


@given(st.tuples(st.integers(0, 255), st.integers(0, 255).map(lambda power: 2**power)))
def test_any_metre_gives_a_prompt_bars_of_a_sensible_length(
    tmp_path_factory: pytest.TempPathFactory, metre: tuple[int, int]
) -> None:
    path = tmp_path_factory.mktemp("prompt") / "a.mid"
    write_midi(NOTES, path)
    raw = replace(read_midi(path), time_signature=metre)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt, "read_performance", lambda path: raw)
        found: Any = read_prompt(path, TokenizerConfig(), bars=4)
    assert 2 <= found.bar_steps <= 128
