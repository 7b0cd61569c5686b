"""The result files: what a run of a plan found, small enough to be committed.

RESULTS/NAME.json             the entry of the plan, machine, learning curve, and every average on the test split
RESULTS/NAME.npz              the sums over each test performance, for the bootstrap
RESULTS/NAME.unfinished.json  of a run that has no result yet: its tokens and learning curve so far
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from pianogen.config import PAPER_KINDS
from pianogen.errors import RunError, SettingError
from pianogen.files import write_atomic, write_json
from pianogen.metrics import PerformanceSums
from pianogen.reproduce.plan import PlannedRun, difference

FORMAT = 1
_ALWAYS = {"entry", "commit", "seed", "tokens", "hours", "tokens_per_s", "machine", "precision", "curve"}
_UNFINISHED = ".unfinished.json"
_FINISHED = {"checkpoint", "shards", "test"}
_PAPER_CODE = {"paper_code", "padded_batches"}


@dataclass(frozen=True)
class Result:
    """The content of NAME.json or NAME.unfinished.json."""

    name: str
    content: Mapping[str, Any]

    @property
    def is_finished(self) -> bool:
        """Whether the run spent its budget and was scored."""
        return "test" in self.content

    @property
    def kind(self) -> str:
        """The kind of model."""
        return self.content["entry"]["settings"]["model"]["kind"]

    @property
    def is_of_the_paper(self) -> bool:
        """Whether its network and optimizer are the paper's."""
        settings = self.content["entry"]["settings"]
        model, optim = settings["model"], settings["optim"]
        changed = (
            model["embedding"] != "one_hot",
            model["num_layers"] > 1,
            model["dropout"],
            model.get("layer_norm"),
            optim.get("kind", "adam") != "adam",
            optim.get("ema"),
        )
        return self.kind in PAPER_KINDS and not any(changed)

    @property
    def tokens(self) -> int:
        """Targets seen in training."""
        return self.content["tokens"]

    @property
    def curve(self) -> list[dict[str, float]]:
        """Validations: tokens, nll, weighted_f1."""
        return self.content["curve"]


def result_file(folder: Path, name: str) -> Path:
    """NAME.json."""
    return folder / f"{name}.json"


def read_result(folder: Path, planned: PlannedRun) -> Result | None:
    """The result of a finished run; None if it has none.

    Raises:
        RunError: The file is damaged or of another format.
        SettingError: It belongs to another entry of the plan.
    """
    file = result_file(folder, planned.name)
    if not file.exists():
        return None
    result = Result(planned.name, read_json(file, _ALWAYS | _FINISHED | (_PAPER_CODE if planned.paper_code else set())))
    if found := difference(planned.entry, result.content["entry"]):
        setting, now, then = found
        raise SettingError(
            f"'{setting.removeprefix('settings.')}' of run {planned.name!r} is {now!r} in the plan, but {file} was "
            f"made with {then!r}; remove that file and the run's folder to run it again, or give the run another name"
        )
    return result


def read_unfinished(folder: Path, name: str) -> Result | None:
    """What is known of a run without a result; None if it has not been trained at all."""
    file = _unfinished_file(folder, name)
    return Result(name, read_json(file, _ALWAYS)) if file.exists() else None


def write_result(folder: Path, name: str, content: Mapping[str, Any], sums: PerformanceSums) -> None:
    """Write the sums, then NAME.json, with which the run counts as finished."""
    arrays = {field.name: _smallest(getattr(sums, field.name)) for field in fields(sums)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomic(folder / f"{name}.npz", buffer.getvalue())
    write_json(result_file(folder, name), {"format": FORMAT, "name": name, **content})
    _unfinished_file(folder, name).unlink(missing_ok=True)


def write_unfinished(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    """Write NAME.unfinished.json."""
    write_json(_unfinished_file(folder, name), {"format": FORMAT, "name": name, **content})


def read_sums(folder: Path, name: str) -> PerformanceSums:
    """The content of NAME.npz.

    Raises:
        RunError: It is missing or damaged.
    """
    file = folder / f"{name}.npz"
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
            return PerformanceSums(**{field.name: arrays[field.name] for field in fields(PerformanceSums)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{file} cannot be read: {error}; remove {name}.json beside it to make both again") from error


def read_json(file: Path, sections: set[str]) -> dict[str, Any]:
    """The content of a file of results.

    Raises:
        RunError: It cannot be read, is of another format, or lacks one of the sections.
    """
    try:
        content = json.loads(file.read_text())
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {FORMAT}")
        missing = sorted(sections - set(content))
        if missing or not isinstance(content["entry"], dict):
            raise ValueError(f"it has no {', '.join(missing) or 'entry of a plan'}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file} cannot be read: {error!r:.100}; remove it to make it again") from error
    return content


def _unfinished_file(folder: Path, name: str) -> Path:
    return folder / f"{name}{_UNFINISHED}"


def _smallest(values: np.ndarray) -> np.ndarray:
    """Counts in the smallest type that holds them, which compresses best."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0)))) if values.dtype.kind == "i" else values
