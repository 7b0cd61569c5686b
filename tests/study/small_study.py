"""A small valid study, whose clips are short tones: for tests of what reads a study's folder."""

from pathlib import Path

import numpy as np

from pianogen.files import sha256_of
from pianogen.render.sound import encode_sound
from pianogen.render.synthesis import RATE
from pianogen.study.design import Condition, Design, Hearing, Keyed, Sessions
from pianogen.study.folder import StudyFolder
from pianogen.study.sessions import plan_sessions
from pianogen.tokens import Notes, midi_bytes

CONDITIONS = (
    Condition("lstm-0", "model", "lstm-0", architecture="lstm"),
    Condition("lstm-0 with prompt", "model", "lstm-0", prompted=True, architecture="lstm"),
    Condition("real", "reference"),
    Condition("anchor", "anchor"),
)
STIMULI, CLIPS, RATERS, SEED = 3, 2, 14, 5
SECONDS = 0.4  # of a clip


def make_study(folder: Path, raters: int = RATERS, *, must_finish: bool = True) -> StudyFolder:
    """Write a study of four conditions, with sessions of 8 clips, one of them again, and a check."""
    study = StudyFolder(folder)
    study.clips.mkdir(parents=True)
    study.notes("x").parent.mkdir()
    key: dict[str, Keyed] = {}
    names = [[_rated(study, key, c, stimulus) for stimulus in range(STIMULI)] for c in range(len(CONDITIONS))]
    checks = [Hearing(_tone(study, key, f"check{count}", -1, count), "check", count) for count in (2, 3, 4, 5)]
    asked = [Hearing(_tone(study, key, f"sound{count}", -1, count), "check", count) for count in (2, 3, 4, 5)]
    examples = tuple(_tone(study, key, f"example{number}", -1, number) for number in range(2))
    plan = plan_sessions(raters, CLIPS, names, checks, SEED)
    study.write(_design(raters, must_finish), Sessions(tuple(asked), examples, plan, dict.fromkeys(key, SECONDS)), key)
    return study


def _rated(study: StudyFolder, key: dict[str, Keyed], condition: int, stimulus: int) -> str:
    name = _tone(study, key, f"clip{condition}{stimulus}", condition, stimulus)
    steps = np.arange(8) * (condition + 1)
    notes = Notes(steps, np.full(8, 2), 60 + (steps * (stimulus + 2)) % 24)
    study.notes(name).write_bytes(midi_bytes(notes))
    return name


def _tone(study: StudyFolder, key: dict[str, Keyed], name: str, condition: int, stimulus: int) -> str:
    frequency = 220 + 10 * len(key)  # so that no two clips are the same
    wave = 0.2 * np.sin(2 * np.pi * frequency * np.arange(int(SECONDS * RATE)) / RATE)
    path = study.clip(name)
    path.write_bytes(encode_sound(wave.astype(np.float32)[None], "mp3"))
    key[name] = Keyed(condition, stimulus, f"tone of {frequency} Hz", sha256_of(path))
    return name


def _design(raters: int, must_finish: bool) -> Design:
    return Design(
        title="A small study",
        created="2026-01-01T00:00:00+00:00",
        seed=SEED,
        conditions=CONDITIONS,
        hypotheses=("lstm-0 < real", "lstm-0 with prompt < real", "anchor < lstm-0", "lstm-0 < lstm-0 with prompt"),
        raters=raters,
        must_finish_clip=must_finish,
        clips=CLIPS,
        stimuli=STIMULI,
        power={"lstm-0 < real": 0.99, "lstm-0 with prompt < real": 0.9, "anchor < lstm-0": 0.95}
        | {"lstm-0 < lstm-0 with prompt": 0.7},
    )
