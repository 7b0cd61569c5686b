"""What raters answer, in one SQLite file: every call is on disk when it returns, and one process writes.

A rater is a number. The name of their session, which only their browser knows, is kept as a hash; a code of invitation
is kept as a hash that does not say who used it. Addresses, devices and codes are not stored.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from pianogen.errors import StudyError
from pianogen.locks import FileLock, LockHeldError
from pianogen.study.answers import Answer, Rater
from pianogen.study.design import Hearing, StudyFolder

MAX_COMMENT = 1000
"""Characters of a comment."""
_LEFT_AFTER = timedelta(days=1)  # an unfinished session may then be given to another rater
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


class CodeError(Exception):
    """A code of invitation is missing, unknown or used."""


class OrderError(Exception):
    """An answer is not the rater's next one, or differs from the one that was given there."""


@dataclass(frozen=True)
class RaterProgress:
    """How far a rater is."""

    number: int
    session: int
    sound_checks: int
    """Wrong answers of the sound check."""
    heard_right: bool
    """Whether the sound check is passed."""
    instructed: bool
    """Whether the instructions have been read."""
    position: int
    """The next page of the session; the number of answers."""
    finished: bool


class Store:
    """The writing side; one process has it at a time, in which any thread may call it."""

    def __init__(self, folder: StudyFolder) -> None:
        """Open the answers of a study, or begin them.

        Raises:
            StudyError: Another process writes them, they are damaged, or the design was changed since the first one.
        """
        self._sessions = folder.sessions().sessions
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
        fixed = {name: _hash((folder.path / f"{name}.json").read_bytes()) for name in ("design", "sessions")}
        with self._transaction() as file:
            if not file.execute("SELECT 1 FROM sqlite_schema").fetchone():
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def add_codes(self, codes: Sequence[str]) -> None:
        """Add codes of invitation that are not there; from the first one on, each rater needs one."""
        with self._transaction() as file:
            file.executemany(
                "INSERT OR IGNORE INTO codes (hash) VALUES (?)", [(_hash(code.encode()),) for code in codes]
            )

    def num_codes(self) -> int:
        """The number of codes, used ones too."""
        return self._one("SELECT count(*) FROM codes")[0]

    def rater(self, name: str) -> RaterProgress | None:
        """The rater of a session's name; None before consent."""
        row = self._one(
            "SELECT number, session, sound_checks, heard_right, instructed, finished IS NOT NULL, "
            "(SELECT count(*) FROM answers WHERE rater = number) FROM raters WHERE name = ?",
            _hash(name.encode()),
        )
        if row is None:
            return None
        number, session, checks, heard, instructed, finished, answers = row
        return RaterProgress(number, session, checks, bool(heard), bool(instructed), answers, bool(finished))

    def begin(self, name: str, code: str | None = None) -> None:
        """Make a rater of the session of this name, who has consented; nothing if there is one.

        Raises:
            CodeError: The study has codes, and this is none that can be used.
        """
        with self._transaction() as file:
            if file.execute("SELECT 1 FROM raters WHERE name = ?", [_hash(name.encode())]).fetchone():
                return
            if file.execute("SELECT 1 FROM codes LIMIT 1").fetchone():
                _use(file, code)
            (number,) = file.execute("SELECT coalesce(max(number) + 1, 0) FROM raters").fetchone()
            file.execute(
                "INSERT INTO raters (number, name, session, started) VALUES (?, ?, ?, ?)",
                [number, _hash(name.encode()), self._next_session(file), _now()],
            )

    def _next_session(self, file: sqlite3.Connection) -> int:
        """The session that was given out least, so that orders stay balanced; those who left count no more."""
        query = "SELECT session, count(*) FROM raters WHERE finished IS NOT NULL OR started > ? GROUP BY session"
        given = dict(file.execute(query, [_text(datetime.now(UTC) - _LEFT_AFTER)]).fetchall())
        return min(range(len(self._sessions)), key=lambda session: given.get(session, 0))

    def sound_check(self, number: int, *, right: bool) -> None:
        """Count an answer of the sound check."""
        self._write(f"UPDATE raters SET {'heard_right = 1' if right else 'sound_checks = sound_checks + 1'}", number)

    def instruct(self, number: int) -> None:
        """Record that the instructions were read."""
        self._write("UPDATE raters SET instructed = 1", number)

    def _write(self, update: str, number: int) -> None:
        with self._transaction() as file:
            file.execute(f"{update} WHERE number = ?", [number])

    def answer(self, number: int, position: int, *, value: int, heard_s: float, comment: str = "") -> None:
        """Record the answer of a rater's next page, the last of which finishes the session.

        The same answer again changes nothing.

        Raises:
            OrderError: It is not the next page, or was answered otherwise.
        """
        with self._transaction() as file:
            (session,) = file.execute("SELECT session FROM raters WHERE number = ?", [number]).fetchone()
            pages = self._sessions[session]
            (count,) = file.execute("SELECT count(*) FROM answers WHERE rater = ?", [number]).fetchone()
            if position < count:
                _compare(file, number, position, (value, comment))
                return
            if position != count or position >= len(pages):
                raise OrderError(f"page {position + 1} cannot be answered yet; the next one is page {count + 1}")
            page: Hearing = pages[position]
            now = _now()
            row = [number, position, page.clip, page.role, value, heard_s, comment, now]
            file.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            if position == len(pages) - 1:
                file.execute("UPDATE raters SET finished = ? WHERE number = ?", [now, number])

    def counts(self) -> dict[str, int]:
        """How many raters began and finished, and how many answers there are."""
        row = self._one(
            "SELECT (SELECT count(*) FROM raters), (SELECT count(finished) FROM raters), count(*) FROM answers"
        )
        return dict(zip(("begun", "finished", "answers"), row, strict=True))

    def _one(self, query: str, *values: object) -> Any:
        with self._mutex:
            return self._file.execute(query, values).fetchone()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
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


def read_answers(folder: StudyFolder) -> tuple[list[Rater], list[Answer]]:
    """All raters, and all answers by rater and position; also while the study is served.

    Raises:
        StudyError: The file is damaged.
    """
    if not folder.answers.is_file():
        return [], []
    with _readable(folder.answers), closing(_open_to_read(folder.answers)) as file:
        # a server that was killed before its first transaction left no tables
        if not file.execute("SELECT 1 FROM sqlite_schema").fetchone():
            return [], []
        raters = file.execute("SELECT number, session, started, finished FROM raters ORDER BY number").fetchall()
        answers = file.execute("SELECT * FROM answers ORDER BY rater, position").fetchall()
    return [Rater(*row) for row in raters], [Answer(*row) for row in answers]


def _open(path: Path, options: str = "") -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(address, timeout=30, isolation_level=None, check_same_thread=False, uri=True)


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file for one transaction, whose queries all see the same state."""
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


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # a full disk, or another program's lock: the answers are not damaged
        raise StudyError(f"{path} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StudyError(f"{path} cannot be read: {error}; put a backup in its place") from error


def _use(file: sqlite3.Connection, code: str | None) -> None:
    if not code:
        raise CodeError("this study needs a code of invitation")
    found = file.execute("SELECT used FROM codes WHERE hash = ?", [_hash(code.encode())]).fetchone()
    if found is None:
        raise CodeError("there is no such code; check it letter by letter")
    if found[0]:
        raise CodeError("this code was used; go on in the browser in which you began")
    file.execute("UPDATE codes SET used = 1 WHERE hash = ?", [_hash(code.encode())])


def _compare(file: sqlite3.Connection, number: int, position: int, answer: tuple[int, str]) -> None:
    query = "SELECT value, comment FROM answers WHERE rater = ? AND position = ?"
    if file.execute(query, [number, position]).fetchone() != answer:
        raise OrderError(f"page {position + 1} was answered already; the first answer counts")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
