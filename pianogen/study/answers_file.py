"""answers.sqlite of a study: every transaction is on disk at its end, and one process writes."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pianogen.errors import StudyError
from pianogen.files import sha256_of
from pianogen.locks import FileLock, LockHeldError
from pianogen.study.folder import StudyFolder

_SCHEMA = (
    "CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE codes (hash TEXT PRIMARY KEY, used INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID",
    """CREATE TABLE raters (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, session INTEGER NOT NULL, started TEXT NOT NULL,
        sound_checks INTEGER NOT NULL DEFAULT 0, heard_right INTEGER NOT NULL DEFAULT 0,
        instructed INTEGER NOT NULL DEFAULT 0, finished TEXT) STRICT""",
    """CREATE TABLE answers (
        rater INTEGER NOT NULL REFERENCES raters, position INTEGER NOT NULL CHECK (position >= 0),
        clip TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('rating', 'repeat', 'check')),
        value INTEGER NOT NULL CHECK (value >= 0), heard_s REAL NOT NULL, comment TEXT NOT NULL,
        answered TEXT NOT NULL, PRIMARY KEY (rater, position)) STRICT, WITHOUT ROWID""",
)


class AnswersFile:
    """The file to write; one process has it at a time, in which any thread may call it."""

    def __init__(self, folder: StudyFolder) -> None:
        """Open the answers of a study, or begin them.

        Raises:
            StudyError: Another process writes them, they are damaged, or the design was changed since the first one.
        """
        self._mutex = threading.Lock()
        try:
            self._lock = FileLock(folder.path / "serve.lock", wait=False)
        except LockHeldError as error:
            raise StudyError(f"{folder.path} is being served by process {error.holder}; stop that one first") from error
        try:
            with _readable(folder.answers):
                folder.answers.touch(mode=0o600)  # before SQLite makes it, and its log alike
                self._file = _open(folder.answers)
                self._file.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON")
                self._begin_study(folder)
        except BaseException:
            self._lock.release()
            raise

    def _begin_study(self, folder: StudyFolder) -> None:
        fixed = {name: sha256_of(folder.path / f"{name}.json") for name in ("design", "sessions")}
        with self.transaction() as file:
            if not _has_tables(file):
                for statement in _SCHEMA:
                    file.execute(statement)
                file.executemany("INSERT INTO study VALUES (?, ?)", fixed.items())
            for name, found in file.execute("SELECT name, value FROM study").fetchall():
                if fixed[name] != found:
                    raise StudyError(
                        f"{folder.path / name}.json was changed after raters could begin; put the old one back, "
                        "or make a new study: `pianogen study new`"
                    )

    def close(self) -> None:
        """Close the file, and let others write; a second call does nothing."""
        with self._mutex:
            self._file.close()
        self._lock.release()

    def first_row(self, query: str, *values: object) -> Any:
        """The first row of a query, None if there is none."""
        with self._mutex:
            return self._file.execute(query, values).fetchone()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything or nothing, on disk at the end."""
        with self._mutex:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
                self._file.execute("COMMIT")
            except BaseException:
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The file for one transaction, whose queries all see the same state; None if there are no tables.

    Raises:
        StudyError: The file is damaged.
    """
    if not path.is_file():
        yield None
        return
    with _readable(path), closing(_open_to_read(path)) as file:
        yield file if _has_tables(file) else None  # a server that was killed before its first transaction left none


def _open(path: Path, options: str = "") -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(address, timeout=30, isolation_level=None, check_same_thread=False, uri=True)


def _open_to_read(path: Path) -> sqlite3.Connection:
    for options in ("mode=ro", "immutable=1"):
        file = _open(path, options)
        try:
            file.execute("BEGIN")
            file.execute("SELECT 1 FROM sqlite_schema")
            return file
        except sqlite3.OperationalError:
            file.close()
            # a log that cannot be made beside the file is not needed where there is none: the last writer removed it
            if options == "immutable=1" or Path(f"{path}-wal").exists():
                raise
    raise AssertionError("unreachable")


def _has_tables(file: sqlite3.Connection) -> bool:
    return file.execute("SELECT 1 FROM sqlite_schema").fetchone() is not None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # a full disk, or another program's lock: the answers are not damaged
        raise StudyError(f"{path} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StudyError(f"{path} cannot be read: {error}; put a backup in its place") from error
