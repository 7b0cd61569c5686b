"""The design of a listening study, fixed before anyone listens, and the files of its folder.

DIR/design.json     what is compared, how it is analysed, who is left out
DIR/clips/ID.mp3    the clips; a name says nothing about its origin
DIR/settings.json   how the clips were made
DIR/sessions.json   which clips each rater hears, in which order: all that the server needs
DIR/key.json        what each clip is: kept from raters, needed for the results
DIR/key/ID.mid      the notes of each rated clip at 120 quarters per minute: kept with the key, for `judge`'s measures
DIR/consent.txt     what a lab adds to the page of consent, if anything
DIR/codes.txt       codes of invitation, if there are any
DIR/answers.sqlite  written by `pianogen study serve`
DIR/results/        written by `pianogen study results`
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from pianogen.errors import StudyError
from pianogen.files import write_json

ConditionKind = Literal["model", "reference", "raw", "anchor"]
Role = Literal["rating", "repeat", "check"]
_T = TypeVar("_T")

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


class StudyFolder:
    """The files of a study."""

    def __init__(self, folder: Path) -> None:
        """Name a folder; nothing is read."""
        self.path = folder
        self.clips, self.answers, self.results = folder / "clips", folder / "answers.sqlite", folder / "results"

    @property
    def key_path(self) -> Path:
        """Where the key is, unless it was moved away from the server."""
        return self.path / "key.json"

    def clip(self, name: str) -> Path:
        """The sound of a clip."""
        return self.clips / f"{name}.mp3"

    def notes(self, name: str, key_path: Path | None = None) -> Path:
        """The MIDI file of a rated clip's notes, beside the key."""
        return (key_path or self.key_path).with_suffix("") / f"{name}.mid"

    def text(self, name: str) -> str:
        """A text that the lab may write or change; empty if there is none.

        Raises:
            StudyError: It is not UTF-8.
        """
        path = self.path / name
        try:
            return path.read_text("utf-8-sig") if path.is_file() else ""
        except UnicodeError as error:
            raise StudyError(f"{path} is not UTF-8 text; save it as UTF-8") from error

    def write(self, design: Design, sessions: Sessions, key: Mapping[str, Keyed]) -> None:
        """Write everything but the clips; design.json last, so that a folder with one is complete."""
        write_json(self.key_path, {name: asdict(entry) for name, entry in key.items()})
        write_json(self.path / "sessions.json", asdict(sessions))
        write_json(self.path / "design.json", asdict(design))

    def design(self) -> Design:
        """Read design.json.

        Raises:
            StudyError: It is missing or damaged.
        """
        design, path = self._read(self.path / "design.json", Design), self.path / "design.json"
        try:
            design.pairs()
        except (KeyError, ValueError) as error:
            raise StudyError(f"{path} is damaged: a hypothesis is not 'A < B' with the names of conditions") from error
        return design

    def sessions(self) -> Sessions:
        """Read sessions.json.

        Raises:
            StudyError: It is missing or damaged.
        """
        sessions, path = self._read(self.path / "sessions.json", Sessions), self.path / "sessions.json"
        if not (sessions.sound_check and sessions.sessions and all(sessions.sessions)):
            raise StudyError(f"{path} is damaged: there is no sound check, or a session without pages")
        pages = [*sessions.sound_check, *(page for session in sessions.sessions for page in session)]
        if unknown := {*(page.clip for page in pages), *sessions.examples} - sessions.seconds.keys():
            raise StudyError(f"{path} is damaged: seconds: the length of the clip {min(unknown)} is missing")
        return sessions

    def key(self, path: Path | None = None) -> dict[str, Keyed]:
        """Read the key, from another place if it was moved.

        Raises:
            StudyError: It is missing or damaged.
        """
        return self._read(path or self.key_path, dict[str, Keyed])

    def _read(self, path: Path, kind: type[_T]) -> _T:
        try:
            return TypeAdapter(kind).validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise StudyError(f"{path} is missing; `pianogen study new {self.path}` makes a study") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise StudyError(f"{path} is damaged: {where or 'content'}: {first['msg']}") from error
        except OSError as error:
            raise StudyError(f"{path} cannot be read: {error.strerror}") from error
