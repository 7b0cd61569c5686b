"""A real server of the pretrained model, for all tests of the page's API."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from play_site import QUEUE, Site, serving

from pianogen.config import GenerateConfig, PlayConfig
from pianogen.generation import generate
from pianogen.runs import local_run


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with serving(PlayConfig(queue=QUEUE, device="cpu")) as running:
        yield running


@pytest.fixture
def generated(tmp_path: Path) -> Callable[..., Path]:
    """The MIDI file that `pianogen generate` writes: `generated(seed=1, prompt=FILE)`."""

    def write(**settings: Any) -> Path:
        config = GenerateConfig(num=1, device="cpu", **settings)
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        return generate(local_run("pretrained"), out, config)[0]

    return write
