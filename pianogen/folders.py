"""Checks that runs, shards and pieces are in separate folders: in one they would overwrite each other."""

import json
from collections.abc import Callable
from pathlib import Path

from pianogen.errors import SettingError

PARTS_FOLDER = ".parts"  # of shards: read by the tasks of a job array
STAGING_FOLDER = ".building"  # of shards: unfinished files
RESULTS_FOLDER = "evaluation"  # of a run: every JSON file in it is mirrored and exported as the scores of the run


def named(path: Path) -> Path:
    """A path whose last part is the name of the folder, which `.` and `..` do not give."""
    return path.resolve() if path.name in ("", "..") else path


def run_above(folder: Path) -> Path | None:
    """The run folder that this folder is or is below, if any."""
    return _first(folder, lambda parent: (parent / "config.yaml").is_file() and (parent / "environment.json").is_file())


def shards_above(folder: Path) -> Path | None:
    """The folder of shards that this folder is or is below, if any."""
    return _first(folder, _is_shards)


def refuse_run(out: Path, what: str) -> None:
    """Refuse to write `what` to a run folder or below it.

    Raises:
        SettingError: It is or is below one.
    """
    if run := run_above(out):
        raise SettingError(f"setting 'out' is {str(out)!r}, but {run} is a run folder; give {what} another --out")


def refuse_shards(out: Path, what: str) -> None:
    """Refuse to write `what` to a folder of shards or below it.

    Raises:
        SettingError: It is or is below one.
    """
    if shards := shards_above(out):
        raise SettingError(f"setting 'out' is {str(out)!r}, but {shards} holds shards; give {what} another --out")


def refuse_run_or_shards(out: Path, what: str) -> None:
    """Refuse to write `what` to a run folder or the results in it, but not elsewhere below one, or to shards.

    Raises:
        SettingError: It is one of these.
    """
    if (run := run_above(out)) and out.resolve() in (run, run / RESULTS_FOLDER):
        refuse_run(out, what)
    refuse_shards(out, what)


def make_out(folder: Path) -> None:
    """Create a folder for results, unless it exists.

    Raises:
        SettingError: It cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"cannot create the folder --out {folder}: {error.strerror}; choose another") from error


def _first(folder: Path, is_one: Callable[[Path], bool]) -> Path | None:
    path = folder.resolve()
    return next((one for one in (path, *path.parents) if is_one(one)), None)


def _is_shards(folder: Path) -> bool:
    if (folder / PARTS_FOLDER).is_dir() or (folder / STAGING_FOLDER).is_dir():
        return True  # not finished yet
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and {"format", "fingerprint", "shards"} <= manifest.keys()
