"""A shareable folder of a run: its settings and the weights of one checkpoint, without the state of the training.

DIR/
  README.md           model card, see `pianogen.runs.model_card`
  LICENSE             of the weights, where the data determine it
  config.yaml         settings, without places on this machine
  environment.json    the same, with `exported`: the checkpoint that it was
  status.json
  checkpoints/        one, weights only, in bfloat16; best.json if it is the best
  evaluation/         results of `pianogen evaluate` on these weights
  manifest.json       every file with its size and sha256, as `store_runs` writes it

To everything that reads a run it is one; `pianogen train` does not resume it.
"""

import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from pianogen.errors import RunError, SettingError
from pianogen.files import sha256_of, write_atomic, write_json
from pianogen.folders import RESULTS_FOLDER, refuse_run, refuse_shards
from pianogen.runs.checkpoint import BEST, MANIFEST, TRAINING, CheckpointInfo, read_best, write_checkpoint
from pianogen.runs.model_card import licence_of, model_card
from pianogen.runs.origin import data_of, source_of
from pianogen.runs.run import EXPORTED, Run, open_run, record_config
from pianogen.runs.storing import files_of, manifest_of
from pianogen.storage import is_url

_LOCAL = ("host",)  # of environment.json: what only this machine's users know


def export(path: Path, out: Path, checkpoint: str = "best") -> Run:
    """Write the shareable folder `out` of the run at `path`.

    Raises:
        RunError: The run or the checkpoint is missing or damaged.
        SettingError: `out` is not a new or empty folder, or is inside a run or shards.
    """
    run, out = open_run(path), out.resolve()
    refuse_run(out, "the export")
    refuse_shards(out, "the export")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"setting 'out' is {str(out)!r}, which exists and is not empty; give another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as scratch:
        made = Path(scratch) / out.name
        made.mkdir()
        _fill(made, run, checkpoint)
        made.replace(out)
    return open_run(out)


def _fill(folder: Path, run: Run, checkpoint: str) -> None:
    config = replace(run.config, shards="", out="", init=None, deepspeed=None)
    made = Run(folder, config)
    record_config(folder, config)
    _copy_results(made, run, _write_weights(made, run, checkpoint))
    if licence := licence_of(data_of(run)):
        write_atomic(folder / "LICENSE", licence.notice)
    write_atomic(folder / "README.md", model_card(made))
    write_json(folder / MANIFEST, manifest_of(files_of(folder)))


def _write_weights(made: Run, run: Run, name: str) -> CheckpointInfo:
    """Write a checkpoint in bfloat16 and the records that belong to it; return what it was made of."""
    import torch

    model, checkpoint = run.load_model(name)
    training = json.loads((checkpoint.path / TRAINING).read_text())  # verified by load_model
    weights = {
        name: value.to(torch.bfloat16) if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    written = write_checkpoint(made.checkpoints, checkpoint.step, {"model": weights}, training)
    (written / "model.safetensors").chmod(0o644)  # safetensors makes it readable to its owner alone
    with suppress(RunError):
        if read_best(run.checkpoints) == checkpoint.step:
            shutil.copy(run.checkpoints / BEST, made.checkpoints / BEST)
    origin = {"step": checkpoint.step, "sha256": checkpoint.sha256}
    write_json(made.path / "environment.json", _environment(run, origin))
    position = training.get("position", {})
    progress = {key: position[key] for key in ("tokens", "seconds") if key in position}
    write_json(made.path / "status.json", {"state": "finished", "step": checkpoint.step, **progress})
    return checkpoint


def _environment(run: Run, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The run's environment without places on this machine; an export of an export names the first checkpoint."""
    there = {name: value for name, value in run.environment.items() if name not in _LOCAL}
    environment = {EXPORTED: checkpoint, **there}
    environment["shards"] = {**there["shards"], "folder": None, "source": source_of(run)}
    if "init" in there:
        name = str(there["init"]["run"])
        environment["init"] = {**there["init"], "run": name if is_url(name) else PurePath(name).name}
    return environment


def _copy_results(made: Run, run: Run, checkpoint: CheckpointInfo) -> None:
    """Copy the results of evaluating these weights, before or after they were rounded."""
    weights = {
        made.environment[EXPORTED]["sha256"],
        checkpoint.sha256,
        sha256_of(made.step_folder(checkpoint.step) / "model.safetensors"),
    }
    for file in sorted((run.path / RESULTS_FOLDER).glob("*.json")):
        with suppress(ValueError, AttributeError):
            if json.loads(file.read_text()).get("checkpoint_sha256") in weights:
                (made.path / RESULTS_FOLDER).mkdir(exist_ok=True)
                shutil.copy(file, made.path / RESULTS_FOLDER / file.name)
