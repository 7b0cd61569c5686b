"""The design of a listening study, fixed before anyone listens: conditions, sessions, and what each clip is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ConditionKind = Literal["model", "reference", "raw", "anchor"]
Role = Literal["rating", "repeat", "check"]

LOWEST, HIGHEST = 0, 5  # of the paper's scale
QUESTION = "How much do you like this piece of music?"


@dataclass(frozen=True)
class Condition:
    """One kind of stimulus."""

    name: str
    """As the figure names it, such as "attn-0 with prompt"."""
    kind: ConditionKind
    """model; reference: human music through the same tokens; raw: as it was played; anchor: notes shuffled in time."""
    model: str | None = None
    prompted: bool = False
    architecture: str | None = None
    """The kind of the model's network, such as lstm."""


@dataclass(frozen=True)
class Exclusion:
    """Rules, fixed beforehand, by which a rater's ratings are left out."""

    max_failed_checks: int = 0
    max_repeat_difference: int = 2
    """Between the two ratings of the clip that is heard twice."""
    min_ratings: int = 3
    """Fewer than that many ratings are not enough."""
    all_equal: bool = True
    """Leave out a rater who gave every clip the same rating."""


@dataclass(frozen=True)
class Design:
    """What a study compares and how, with its size."""

    title: str
    created: str
    """Date and time, UTC."""
    seed: int
    conditions: tuple[Condition, ...]
    hypotheses: tuple[str, ...]
    """The family of tests, each as "A < B" with the names of two conditions: B is rated higher than A."""
    raters: int
    """The number planned."""
    clips: int
    """Clips of each condition per rater."""
    stimuli: int
    """Clips of each condition in the study."""
    power: Mapping[str, float]
    """The share of simulated studies of this size that find each hypothesis (Holm-adjusted p < 0.05)."""
    question: str = QUESTION
    exclusion: Exclusion = Exclusion()
    must_finish_clip: bool = True
    """A clip can be rated only when it has been heard to its end."""
    simulated: bool = False
    """Whether the raters are simulated: said on every page and picture."""

    def pairs(self) -> list[tuple[int, int]]:
        """The conditions of each hypothesis, the one with the lower expected rating first."""
        index = {condition.name: number for number, condition in enumerate(self.conditions)}
        return [(index[lower], index[higher]) for lower, higher in (text.split(" < ") for text in self.hypotheses)]


@dataclass(frozen=True)
class Keyed:
    """What a clip is."""

    condition: int
    """Index into the design's conditions; -1 for a clip of an attention check or of the instructions."""
    stimulus: int
    """Index within the condition; conditions that share an index share the prompt."""
    source: str
    """The performance, and the piece's file or seed."""
    sha256: str
    """Of the clip's bytes."""


@dataclass(frozen=True)
class Hearing:
    """One page of a session: a clip and what is asked about it."""

    clip: str
    role: Role
    """rating; repeat: a clip of this session for the second time; check: the number of notes is asked for."""
    expected: int | None = None
    """The right answer of a check."""


@dataclass(frozen=True)
class Sessions:
    """What each rater hears: a rater gets the session that was given to the fewest."""

    sound_check: tuple[Hearing, ...]
    """Asked before the study, until the answer is right."""
    examples: tuple[str, ...]
    """Clips of the instructions; none of them is rated."""
    sessions: tuple[tuple[Hearing, ...], ...]
    seconds: Mapping[str, float]
    """The length of each clip."""
