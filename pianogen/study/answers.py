"""What raters answered, as the results read it."""

from dataclasses import dataclass

from pianogen.study.answers_file import reading
from pianogen.study.design import Role
from pianogen.study.folder import StudyFolder


@dataclass(frozen=True)
class Answer:
    """One page of a session that was answered."""

    rater: int
    """Number of the rater, from 0, in the order of consent; no name, address or device is stored."""
    position: int
    """Index into the rater's session."""
    clip: str
    role: Role
    value: int
    """A rating from 0 to 5, or the number of notes of a check."""
    heard_s: float
    """How much of the clip was heard, replays included."""
    comment: str
    answered: str
    """Date and time, UTC."""


@dataclass(frozen=True)
class Rater:
    """One session."""

    number: int
    session: int
    """Index into the study's sessions."""
    started: str
    finished: str | None
    """None for a session that was left early."""


def read_answers(folder: StudyFolder) -> tuple[list[Rater], list[Answer]]:
    """All raters, and all answers by rater and position; also while the study is served.

    Raises:
        StudyError: The file is damaged.
    """
    with reading(folder.answers) as file:
        if file is None:
            return [], []
        raters = file.execute("SELECT number, session, started, finished FROM raters ORDER BY number").fetchall()
        answers = file.execute("SELECT * FROM answers ORDER BY rater, position").fetchall()
    return [Rater(*row) for row in raters], [Answer(*row) for row in answers]
