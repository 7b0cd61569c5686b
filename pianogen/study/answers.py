"""What raters answered, as the results read it."""

from dataclasses import dataclass

from pianogen.study.design import Role


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
