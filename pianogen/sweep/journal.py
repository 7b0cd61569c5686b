"""The sweep's journal: Optuna's own file, which also outlives a disk that was full.

Optuna applies whatever it reads: a damaged record makes it raise anything, at once or when a trial is used later.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.exceptions import OptunaError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState

from pianogen.errors import RunError


def open_journal(file: Path) -> JournalStorage:
    """Open the journal of all workers, and make it where there is none.

    Raises:
        RunError: A record is damaged; later reads of new records raise it too.
    """
    return _Journal(file)


def damaged(file: Path, reason: object) -> RunError:
    """The one line for a journal that cannot be gone on with."""
    said = " ".join(str(reason).split())
    return RunError(f"{file} is damaged ({said}); trials.csv beside it lists what was found; give another --out")


def require_sound(trials: Iterable[FrozenTrial], file: Path) -> None:
    """Look for what Optuna takes from a record without a look at it.

    Raises:
        RunError: A trial holds a value that no worker has written.
    """
    for trial in trials:
        if what := _unsound(trial):
            raise damaged(file, f"trial {trial.number} has {what}")


def _unsound(trial: FrozenTrial) -> str | None:
    if not all(_is_number(value) for value in trial.values or ()):
        return f"values {trial.values!r}"
    if trial.state == TrialState.COMPLETE and len(trial.values or ()) != 1:
        return f"{len(trial.values or ())} values"
    for step, value in trial.intermediate_values.items():
        if isinstance(step, bool) or not isinstance(step, int) or not _is_number(value):
            return f"{value!r} at step {step!r}"
    for name, distribution in trial.distributions.items():
        value = trial.params.get(name)
        if not distribution._contains(distribution.to_internal_repr(value)):  # Optuna has no public way to ask
            return f"{name} {value!r}"
    if not isinstance(trial.user_attrs.get("reason", ""), str):
        return f"reason {trial.user_attrs['reason']!r}"
    deaths = trial.user_attrs.get("deaths", (0, 0))
    if not (isinstance(deaths, list | tuple) and len(deaths) == 2 and all(isinstance(one, int) for one in deaths)):
        return f"deaths {deaths!r}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Journal(JournalStorage):
    """Names the file where its records cannot be applied, whenever they are read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        super().__init__(JournalFileBackend(str(file), _MendingLock(file)))

    def _sync_with_backend(self) -> None:
        try:
            super()._sync_with_backend()
        except (OSError, OptunaError):  # of the disk; or what Optuna means to say, such as that a study exists
            raise
        except Exception as error:
            raise damaged(self._file, error if isinstance(error, ValueError) else repr(error)) from error


class _MendingLock(JournalFileSymlinkLock):
    """Cuts off half a line before its holder appends: Optuna would glue the next one to it and read neither again."""

    def __init__(self, file: Path) -> None:
        super().__init__(str(file))
        self._file = file

    def acquire(self) -> bool:
        """Wait for the lock, as every worker does before it appends."""
        acquired = super().acquire()
        try:
            _cut_half_a_line(self._file)
        except BaseException:
            self.release()
            raise
        return acquired


def _cut_half_a_line(path: Path) -> None:
    with path.open("rb+") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
