"""What raters answer, as `pianogen study serve` writes it: every call is on disk when it returns.

A rater is a number. The name of their session, which only their browser knows, is kept as a hash; a code of invitation
is kept as a hash that does not say who used it. Addresses, devices and codes are not stored.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from pianogen.study.answers_file import AnswersFile
from pianogen.study.design import Hearing
from pianogen.study.folder import StudyFolder

MAX_COMMENT = 1000
"""Characters of a comment."""
_LEFT_AFTER = timedelta(days=1)  # an unfinished session may then be given to another rater


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
        self._file = AnswersFile(folder)

    def close(self) -> None:
        """Close the file, and let others write; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def add_codes(self, codes: Sequence[str]) -> None:
        """Add codes of invitation that are not there; from the first one on, each rater needs one."""
        with self._file.transaction() as file:
            file.executemany("INSERT OR IGNORE INTO codes (hash) VALUES (?)", [(_hash(code),) for code in codes])

    def num_codes(self) -> int:
        """The number of codes, used ones too."""
        return self._file.first_row("SELECT count(*) FROM codes")[0]

    def rater(self, name: str) -> RaterProgress | None:
        """The rater of a session's name; None before consent."""
        row = self._file.first_row(
            "SELECT number, session, sound_checks, heard_right, instructed, finished IS NOT NULL, "
            "(SELECT count(*) FROM answers WHERE rater = number) FROM raters WHERE name = ?",
            _hash(name),
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
        with self._file.transaction() as file:
            if file.execute("SELECT 1 FROM raters WHERE name = ?", [_hash(name)]).fetchone():
                return
            if file.execute("SELECT 1 FROM codes LIMIT 1").fetchone():
                _use(file, code)
            (number,) = file.execute("SELECT coalesce(max(number) + 1, 0) FROM raters").fetchone()
            file.execute(
                "INSERT INTO raters (number, name, session, started) VALUES (?, ?, ?, ?)",
                [number, _hash(name), self._next_session(file), _now()],
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
        with self._file.transaction() as file:
            file.execute(f"{update} WHERE number = ?", [number])

    def answer(self, number: int, position: int, *, value: int, heard_s: float, comment: str = "") -> None:
        """Record the answer of a rater's next page, the last of which finishes the session.

        The same answer again changes nothing.

        Raises:
            OrderError: It is not the next page, or was answered otherwise.
        """
        with self._file.transaction() as file:
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
        row = self._file.first_row(
            "SELECT (SELECT count(*) FROM raters), (SELECT count(finished) FROM raters), count(*) FROM answers"
        )
        return dict(zip(("begun", "finished", "answers"), row, strict=True))


def _use(file: sqlite3.Connection, code: str | None) -> None:
    if not code:
        raise CodeError("this study needs a code of invitation")
    found = file.execute("SELECT used FROM codes WHERE hash = ?", [_hash(code)]).fetchone()
    if found is None:
        raise CodeError("there is no such code; check it letter by letter")
    if found[0]:
        raise CodeError("this code was used; go on in the browser in which you began")
    file.execute("UPDATE codes SET used = 1 WHERE hash = ?", [_hash(code)])


def _compare(file: sqlite3.Connection, number: int, position: int, answer: tuple[int, str]) -> None:
    query = "SELECT value, comment FROM answers WHERE rater = ? AND position = ?"
    if file.execute(query, [number, position]).fetchone() != answer:
        raise OrderError(f"page {position + 1} was answered already; the first answer counts")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
