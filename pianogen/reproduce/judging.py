"""Judging pieces of the runs in tables of the columns `judged`: pieces from nothing, and continuations.

OUT/pieces/RUN/{without,with}    the pieces; OUT/pieces/RUN/judge.html    the whole report
OUT/pieces/RUN/made-of.json      the settings and the checkpoint that they are of
OUT/prompts/SHARDS               performances of the test split, whose beginnings are continued
"""

import json
import shutil
from pathlib import Path
from typing import Any

from pianogen.config import GenerateConfig, JudgeConfig, JudgedPiecesConfig, to_dict
from pianogen.data import open_shards
from pianogen.files import sha256_of, write_atomic
from pianogen.generation.index import find_pieces
from pianogen.generation.job import generate
from pianogen.judge.job import judge
from pianogen.judge.spacing import spread
from pianogen.reproduce.judged import NOISE, WITH, WITHOUT, write_judged
from pianogen.reproduce.measure import CHECKPOINT
from pianogen.reproduce.plan import Plan, PlannedRun
from pianogen.runs import open_run
from pianogen.tokens import decode, midi_bytes

_MORE_S = 10.0  # than what is compared: the silence before the first note does not count, and a window has to be filled


def wanted(plan: Plan) -> list[PlannedRun]:
    """The runs whose pieces are in a table."""
    names = [name for table in plan.tables if table.columns == "judged" for name in table.names]
    return [run for name, run in plan.runs.items() if name in names]


def judge_run(results: Path, run: PlannedRun, out: Path, pieces: JudgedPiecesConfig) -> None:
    """Generate pieces of a run, judge them, and write its file of results; pieces that there are are kept.

    Those of other settings or of another checkpoint are removed: they would be judged with the others.

    Raises:
        RunError: A piece cannot be generated.
        SettingError: The shards have too few performances to compare with.
    """
    shards, folder = out / "shards" / run.shard_set, out / "pieces" / run.name
    weights = open_run(out / "runs" / run.name).find_checkpoint(CHECKPOINT) / "model.safetensors"
    _remove_others(folder, {"pieces": to_dict(pieces), "weights": sha256_of(weights)})
    prompts = _prompts(shards, out / "prompts" / run.shard_set, pieces.num)
    settings = {"seconds": pieces.seconds + _MORE_S, "checkpoint": CHECKPOINT, "seed": pieces.seed}
    continued = {"prompt": str(prompts), "prompt_seconds": pieces.prompt_seconds}
    for name, config in (
        (WITHOUT, GenerateConfig(num=pieces.num, **settings)),
        (WITH, GenerateConfig(num=1, **settings, **continued)),
    ):
        generate(out / "runs" / run.name, folder / name, config)
    given = [f"{name}={folder / name}" for name in (WITHOUT, WITH)]
    config = JudgeConfig(str(shards), first_seconds=pieces.seconds, originality=False, seed=pieces.seed)
    judged = judge(given, folder, config)
    made = [one for one in judged if one.role in ("judged", NOISE)]
    checkpoint = find_pieces(folder / WITHOUT)[0].sidecar["checkpoint"]
    write_judged(results, run, pieces, checkpoint, dict(zip((WITHOUT, WITH, NOISE), made, strict=True)))


def _remove_others(folder: Path, made_of: dict[str, Any]) -> None:
    """Remove a folder of pieces unless they are made of this, and record it."""
    record, content = folder / "made-of.json", json.dumps(made_of, indent=2) + "\n"
    if folder.exists() and not (record.exists() and record.read_text() == content):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(record, content)


def _prompts(shards: Path, folder: Path, num: int) -> Path:
    """A folder of this many performances of the test split, evenly spaced, as MIDI files, and of no others."""
    opened = open_shards(shards)
    test = opened.split("test")
    folder.mkdir(parents=True, exist_ok=True)
    chosen = spread(len(test), num)
    for file in folder.glob("*.mid"):
        if file.name not in {f"{index:04d}.mid" for index in chosen}:
            file.unlink(missing_ok=True)
    for index in chosen:
        midi = midi_bytes(decode(test.tokens(index)), steps_per_quarter=opened.tokenizer.steps_per_quarter)
        write_atomic(folder / f"{index:04d}.mid", midi)
    return folder
