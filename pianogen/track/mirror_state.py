"""The state of a folder's mirror, mlflow.json in that folder, and the lock for writing it.

id               identifies its run in any MLflow store: the value of the tag `folder_id`
uri, run_id      the store and run of the last mirroring
artifacts        modification time of each file that was sent, in ns
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pianogen.errors import RunError
from pianogen.files import write_json
from pianogen.locks import FileLock

_FILE = "mlflow.json"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Exclude other processes from mirroring the same folder, as a follower and `track sync` may do at once.

    Raises:
        RunError: The folder cannot be written.
    """
    path = folder / ".mlflow.lock"
    try:
        lock = FileLock(path, record_holder=False)  # so that syncing again writes nothing
    except OSError as error:
        raise _cannot_write(path, error) from error
    with lock:
        yield


@dataclass
class MirrorState:
    """The content of a folder's mlflow.json."""

    folder: Path
    id: str
    uri: str = ""
    run_id: str = ""
    artifacts: dict[str, int] = field(default_factory=dict)

    def write(self) -> None:
        """Write mlflow.json.

        Raises:
            RunError: The folder cannot be written.
        """
        file = self.folder / _FILE
        try:
            write_json(file, {name: value for name, value in asdict(self).items() if name != "folder"})
        except OSError as error:
            raise _cannot_write(file, error) from error


def new_state(folder: Path) -> MirrorState:
    """Write a state with a new id. It is on disk before any store gets the id, so that no two runs can have it."""
    state = MirrorState(folder, uuid.uuid4().hex)
    state.write()
    return state


def read_state(folder: Path) -> MirrorState | None:
    """Read a folder's mlflow.json, or return None if it was never mirrored.

    Raises:
        RunError: mlflow.json is damaged.
    """
    file = folder / _FILE
    try:
        return MirrorState(folder, **json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"cannot read {file}: {error}; remove that file to mirror {folder} as a new run") from error


def is_copied(folder: Path, recorded: Path, identity: str) -> bool:
    """Whether the folder at the `recorded` path has the same id too, as after copying it but not after moving it."""
    try:
        if recorded == folder.resolve() or not (recorded / _FILE).exists() or recorded.samefile(folder):
            return False
        other = read_state(recorded)
    except (PermissionError, RunError):  # another user's; whoever moved the folder could read it there
        return True
    return other is not None and other.id == identity


def _cannot_write(file: Path, error: OSError) -> RunError:
    return RunError(
        f"cannot write {file}: {error.strerror}; mirroring needs free space and write permission in the run folder, "
        "and in the folder of an sqlite store"
    )
