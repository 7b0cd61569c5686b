"""What a folder keeps of its mirror: mlflow.json, and the lock on writing it.

id               what its run in MLflow is found by, in whatever store: the tag `folder_id`
uri, run_id      where it was mirrored last
artifacts        when each file that is there was changed last, in ns
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
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from mirroring the same folder, as a follower and `track sync` may at once.

    Raises:
        RunError: The folder cannot be written.
    """
    path = folder / ".mlflow.lock"
    try:
        lock = FileLock(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    with lock:
        yield


@dataclass
class Memory:
    """mlflow.json of a folder."""

    folder: Path
    id: str
    uri: str = ""
    run_id: str = ""
    artifacts: dict[str, int] = field(default_factory=dict)

    def keep(self) -> None:
        """Write it.

        Raises:
            RunError: The folder cannot be written.
        """
        file = self.folder / _FILE
        try:
            write_json(file, {name: value for name, value in asdict(self).items() if name != "folder"})
        except OSError as error:
            raise _cannot_write(file, error) from error


def new_memory(folder: Path) -> Memory:
    """Begin anew. The id is on the disk before any store hears of it, so that it can never name two runs."""
    memory = Memory(folder, uuid.uuid4().hex)
    memory.keep()
    return memory


def memory_of(folder: Path) -> Memory | None:
    """What a folder remembers, if it was ever mirrored.

    Raises:
        RunError: mlflow.json is damaged.
    """
    file = folder / _FILE
    try:
        return Memory(folder, **json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{file} cannot be read: {error}; without that file {folder} is mirrored anew") from error


def is_copied(folder: Path, place: Path, identity: str) -> bool:
    """Whether the same id lies at another `place` too: a folder that was moved has left nothing behind."""
    try:
        if place == folder.resolve() or not (place / _FILE).exists() or place.samefile(folder):
            return False
        other = memory_of(place)
    except (PermissionError, RunError):  # somebody else's; who moves a folder can look where it was
        return True
    return other is not None and other.id == identity


def _cannot_write(file: Path, error: OSError) -> RunError:
    return RunError(
        f"{file} cannot be written: {error.strerror}; a mirror needs room and the right to write in the run folder, "
        "and in the folder of an sqlite store"
    )
