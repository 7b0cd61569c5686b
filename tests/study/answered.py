"""A study that was answered, without a server: what a rater says is a function of the clip."""

from collections.abc import Callable
from pathlib import Path

from small_study import make_study

from pianogen.study.analysis import Collected
from pianogen.study.design import Hearing
from pianogen.study.folder import StudyFolder
from pianogen.study.results import collect
from pianogen.study.store import Store

MEANS = (2, 3, 5, 1)
Rating = Callable[[int, int, Hearing], int]
"""Of a rater, on a page, what is said."""


def by_condition(rater: int, position: int, page: Hearing) -> int:
    """Each condition's mean, one higher by every third rater; the right number of notes."""
    if page.expected is not None:
        return page.expected
    return min(5, MEANS[int(page.clip[4])] + (rater % 3 == 0))


def answer(
    folder: StudyFolder, raters: int = 6, rating: Rating = by_condition, stop: dict[int, int] | None = None
) -> None:
    """Let raters answer; `stop` says after how many pages a rater leaves."""
    sessions = folder.sessions().sessions
    with Store(folder) as store:
        for rater in range(raters):
            store.begin(f"session {rater}")
            for position, page in enumerate(sessions[rater][: (stop or {}).get(rater)]):
                comment = "=1+1" if position == 0 else ""
                store.answer(rater, position, value=rating(rater, position, page), heard_s=1.0, comment=comment)


def answered(path: Path, **options: object) -> StudyFolder:
    """A small study with its answers."""
    folder = make_study(path)
    answer(folder, **options)  # pyright: ignore[reportArgumentType]
    return folder


def collected(path: Path, **options: object) -> Collected:
    """What it has collected."""
    return collect(answered(path, **options))
