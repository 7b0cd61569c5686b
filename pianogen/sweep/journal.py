"""The sweep's journal, Optuna's own file, made robust against damage; every use of Optuna's private interface is here.

Optuna applies whatever it reads: a damaged record makes it raise anything, at once or when a trial is used later. A
disk that was full leaves half a line.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.exceptions import OptunaError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from pianogen.errors import RunError

FAILURES = "failures"  # user attribute of a trial


def open_journal(file: Path) -> JournalStorage:
    """Open the journal of all workers; it is created if necessary.

    Raises:
        RunError: A record is damaged; reading new records later raises it too.
    """
    return _Journal(file)


def damaged(file: Path, reason: object) -> RunError:
    """The error for a journal that cannot be used."""
    return RunError(
        f"{file} is damaged ({' '.join(str(reason).split())}); trials.csv beside it has the results so far; "
        "give another --out"
    )


def trial_of(study: Study, trial: FrozenTrial) -> Trial:
    """The trial of another process, to be continued in this one."""
    return Trial(study, trial._trial_id)


def failures_of(trial: FrozenTrial | Trial) -> Any:
    """The last checkpoint's step and the number of workers killed there, as recorded; None if none were."""
    attributes = trial.user_attrs
    return attributes.get(FAILURES, attributes.get("deaths"))  # its name in journals of pianogen 0.1.0


def require_valid(trials: Iterable[FrozenTrial], file: Path) -> None:
    """Check what Optuna takes from a record unchecked.

    Raises:
        RunError: A trial has a value that no worker has written.
    """
    for trial in trials:
        if what := _invalid_value(trial):
            raise damaged(file, f"trial {trial.number} has {what}")


def _invalid_value(trial: FrozenTrial) -> str | None:
    if not all(_is_number(value) for value in trial.values or ()):
        return f"values {trial.values!r}"
    if trial.state == TrialState.COMPLETE and len(trial.values or ()) != 1:
        return f"{len(trial.values or ())} values"
    for step, value in trial.intermediate_values.items():
        if isinstance(step, bool) or not isinstance(step, int) or not _is_number(value):
            return f"{value!r} at step {step!r}"
    for name, distribution in trial.distributions.items():
        value = trial.params.get(name)
        if not distribution._contains(distribution.to_internal_repr(value)):
            return f"{name} {value!r}"
    if not isinstance(trial.user_attrs.get("reason", ""), str):
        return f"reason {trial.user_attrs['reason']!r}"
    failures = (0, 0) if failures_of(trial) is None else failures_of(trial)
    if not (isinstance(failures, list | tuple) and len(failures) == 2 and all(isinstance(n, int) for n in failures)):
        return f"{FAILURES} {failures!r}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Journal(JournalStorage):
    """Names the file in the error for a record that cannot be applied."""

    def __init__(self, file: Path) -> None:
        self._file = file
        super().__init__(JournalFileBackend(str(file), _TruncatingLock(file)))

    def _sync_with_backend(self) -> None:
        try:
            super()._sync_with_backend()
        except (OSError, OptunaError):  # of the disk, or Optuna's regular errors, such as that a study exists
            raise
        except Exception as error:
            raise damaged(self._file, error if isinstance(error, ValueError) else repr(error)) from error


class _TruncatingLock(JournalFileSymlinkLock):
    """Removes half a line before its holder appends: Optuna would append the next one to it and could read neither."""

    def __init__(self, file: Path) -> None:
        super().__init__(str(file))
        self._file = file

    def acquire(self) -> bool:
        """Wait for the lock, as every worker does before it appends a record."""
        acquired = super().acquire()
        try:
            _truncate_half_a_line(self._file)
        except BaseException:
            self.release()
            raise
        return acquired


def _truncate_half_a_line(path: Path) -> None:
    with path.open("rb+") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
