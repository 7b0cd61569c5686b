"""`pianogen study simulate`: raters drawn from given means take part in a copy of a study, through its server.

A rating is round(clip(mean of the condition + rater + stimulus + error, 0, 5)), as in pianogen.study.simulation.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pianogen.config.study_simulate import StudySimulateConfig
from pianogen.errors import StudyError
from pianogen.folders import named
from pianogen.progress import Progress
from pianogen.randomness import RandomStream, generator
from pianogen.study.answers import read_answers
from pianogen.study.app import application
from pianogen.study.design import Keyed
from pianogen.study.folder import StudyFolder, whole_folder
from pianogen.study.means import paper_means, read_means
from pianogen.study.owner import Owner
from pianogen.study.rater_program import RaterProgram
from pianogen.study.simulation import on_scale
from pianogen.study.store import Store
from pianogen.web import Guard, Place, Sessions, serving

_COPIED = ("settings.json", "sessions.json", "key.json", "key", "clips", "consent.txt")
"""Beside design.json; answers, codes and the server's key stay."""
_STIMULI, _RATER, _ERROR = range(3)  # what is drawn


@dataclass(frozen=True, eq=False)
class SimulatedRatings:
    """What simulated raters say of clips."""

    key: Mapping[str, Keyed]
    quality: Float[np.ndarray, "C S"]
    """Mean of the condition plus that of the stimulus."""
    settings: StudySimulateConfig

    @classmethod
    def drawn(
        cls, key: Mapping[str, Keyed], means: Sequence[float], stimuli: int, settings: StudySimulateConfig
    ) -> "SimulatedRatings":
        """Draw the stimuli of each condition around its mean."""
        random = generator(settings.seed, RandomStream.STUDY_RATER, _STIMULI)
        quality = np.array(means)[:, None] + random.normal(0, settings.stimulus_sd, (len(means), stimuli))
        return cls(key, quality, settings)

    def of(self, rater: int, clip: str, position: int) -> int:
        """The rating by a rater of a clip on a page: the same clip on another page has another error."""
        keyed = self.key[clip]
        severity = self._normal(self.settings.rater_sd, _RATER, rater)
        error = self._normal(self.settings.error_sd, _ERROR, rater, position)
        return int(on_scale(self.quality[keyed.condition, keyed.stimulus] + severity + error))

    def _normal(self, sd: float, *indices: int) -> float:
        return generator(self.settings.seed, RandomStream.STUDY_RATER, *indices).normal(0, sd)


def simulate_study(folder: StudyFolder, settings: StudySimulateConfig) -> StudyFolder:
    """Copy a study, mark the copy as simulated, and let the raters answer it through its server; returns the copy.

    The copy appears when all raters have finished: an interrupted call leaves nothing.

    Raises:
        StudyError: People have answered the study, the copy exists, the means do not fit, or the server fails.
    """
    design, key = folder.design(), folder.key()
    if not design.simulated and read_answers(folder)[0]:
        raise StudyError(
            f"people take part in {folder.path}: raters are simulated only before; "
            "for others make the same study again with `pianogen study new`"
        )
    means = read_means(Path(settings.means), design.conditions) if settings.means else paper_means(design.conditions)
    beside = named(folder.path)
    copy = StudyFolder(Path(settings.out) if settings.out else beside.with_name(f"{beside.name}-simulated"))
    ratings = SimulatedRatings.drawn(key, means, design.stimuli, settings)
    with whole_folder(copy.path) as staging:
        _copy(folder.path, staging)
        answered = StudyFolder(staging)
        answered.write(replace(design, simulated=True), folder.sessions(), key)
        _answer(answered, ratings)
    return copy


def _answer(folder: StudyFolder, ratings: SimulatedRatings) -> None:
    """Let the raters take part, one after another, so that the same seed has the same ratings."""
    raters, notes = ratings.settings.raters, _notes(folder)
    with _served(folder) as port, Progress("simulating", total=raters, unit="raters") as bar:
        for rater in range(raters):
            RaterProgram(port, notes, lambda clip, page, rater=rater: ratings.of(rater, clip, page)).take_part()
            bar.advance(1)


def _copy(source: Path, to: Path) -> None:
    for name in _COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, to / name)
        elif (source / name).exists():
            shutil.copy2(source / name, to / name)


def _notes(folder: StudyFolder) -> dict[str, int]:
    """How many notes each clip of a check has."""
    sessions = folder.sessions()
    pages = [*sessions.sound_check, *(page for session in sessions.sessions for page in session)]
    return {page.clip: page.expected for page in pages if page.expected is not None}


@contextmanager
def _served(folder: StudyFolder) -> Iterator[int]:
    """Serve a study in a thread, on a free port of this machine."""
    place = Place(port=0)
    with Store(folder) as store, place.listen() as listening:
        port = listening.getsockname()[1]
        app = Guard(application(folder, store, Owner(None)), Sessions(), place.names(port))
        with serving(app, listening):
            yield port
