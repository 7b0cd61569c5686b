"""The model that ships with the package: `pretrained` is its name wherever a run is read.

The name wins over a folder of that name in the current directory, so that a command means the same everywhere; the
folder is `./pretrained`.
"""

import shutil
import tempfile
from pathlib import Path

from pianogen.errors import RunError, StorageError
from pianogen.files import sha256_of
from pianogen.progress import console
from pianogen.runs.checkpoint import MANIFEST
from pianogen.storage import cache_folder

PRETRAINED = "pretrained"
FOLDER = Path(__file__).parents[1] / PRETRAINED


def pretrained_run() -> Path:
    """The folder of the model that ships with the package; it is only read.

    Raises:
        RunError: This installation has none.
    """
    if not (FOLDER / "config.yaml").exists():
        raise RunError(f"pianogen was installed without its pretrained model: {FOLDER} is no run; install it again")
    if Path(PRETRAINED, "config.yaml").exists():
        console.print(
            f"{PRETRAINED} is the model that ships with pianogen; the run folder here is ./{PRETRAINED}",
            soft_wrap=True,
        )
    return FOLDER


def writable(run: Path) -> Path:
    """A run folder to write to: of the model that ships with the package a copy in the cache, else the folder itself.

    Raises:
        StorageError: The cache cannot be written.
    """
    if run.resolve() != FOLDER.resolve():
        return run
    copy = cache_folder() / PRETRAINED / sha256_of(FOLDER / MANIFEST)[:12] / PRETRAINED
    if copy.exists():
        return copy
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=copy.parent) as scratch:
            _rename(shutil.copytree(FOLDER, Path(scratch) / PRETRAINED), copy)
    except OSError as error:
        raise StorageError(
            f"cannot copy {FOLDER} to {copy}: {error.strerror or error}; set PIANOGEN_CACHE to another folder"
        ) from error
    return copy


def _rename(made: Path, copy: Path) -> None:
    try:
        made.rename(copy)
    except OSError:
        if not copy.exists():  # if it does, another process was faster
            raise
