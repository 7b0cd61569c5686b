"""Shards whose test performances are long enough for a study, and what a small study of them is."""

from pathlib import Path

from small_run import make_run
from tiny import random_notes

from pianogen.config import ShardsConfig, StudyNewConfig
from pianogen.tokens import write_midi

PROMPTS = 2


def make_shards(folder: Path) -> Path:
    """Forty performances of about a minute; four are in test."""
    from shards.build import build

    (folder / "music").mkdir(parents=True)
    for number in range(40):
        write_midi(random_notes(number, 350), folder / "music" / f"{number:02d}.mid")
    build(str(folder / "music"), folder / "shards", ShardsConfig(split="random"))
    return folder / "shards"


def make_models(folder: Path, shards: Path) -> list[str]:
    """Untrained models."""
    return [str(make_run(folder / kind, kind, shards=shards)) for kind in ("rnn", "lstm")]


def small(shards: Path, **changes: object) -> StudyNewConfig:
    """A study of two prompts and clips of 20 seconds."""
    settings = {"prompts": PROMPTS, "seconds": 20.0, "prompt_seconds": 4.0, "power_studies": 20}
    return StudyNewConfig(**({"reference": str(shards)} | settings | changes))  # pyright: ignore[reportArgumentType]
