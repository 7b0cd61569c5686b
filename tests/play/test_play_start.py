"""A server whose model cannot make a piece does not begin to serve."""

from typing import Any

import pytest

from pianogen.cli import main
from pianogen.config import PlayConfig
from pianogen.errors import RunError
from pianogen.play import app, engine, play


def _no_memory(*_: Any) -> None:
    raise MemoryError("9 GB are needed\nand 8 are free")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is served in place of a server, and a model that fails."""
    served: list[Any] = []
    monkeypatch.setattr(engine, "sample", _no_memory)
    monkeypatch.setattr(app, "serve", lambda *guarded: served.append(guarded))
    return served


def test_a_model_whose_first_piece_fails_is_named_before_anything_is_served(served: list[Any]) -> None:
    reason = r"^the model 'pretrained' cannot make a piece \(MemoryError: 9 GB are needed and 8 are free\); choose"
    with pytest.raises(RunError, match=reason):
        play(PlayConfig(port=0, device="cpu"))
    assert served == []


def test_the_command_says_so_in_one_line_and_prints_no_address(
    served: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["play", "--port", "0", "--device", "cpu"]) == 2
    said = capsys.readouterr()
    assert "http://" not in said.out + said.err
    assert said.err.count("\n") == 1
    assert served == []
