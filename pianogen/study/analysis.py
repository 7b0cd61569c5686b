"""What the ratings of a study say: means, tests, agreement, and who was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pianogen.errors import StudyError
from pianogen.randomness import RandomStream, generator
from pianogen.study.agreement import ordinal_alpha
from pianogen.study.answers import Answer, Rater
from pianogen.study.comparison import Comparison, all_pairs, compare
from pianogen.study.design import Design, Keyed, Sessions
from pianogen.study.exclusion import Excluded, excluded, repeat_differences
from pianogen.study.mixed_model import MixedModel, fit_mixed_model
from pianogen.study.ratings import Ratings, interval

MIN_RATERS = 2  # fewer have no spread, and so no interval
_INTERVALS, _HYPOTHESES, _ALL_PAIRS, CORRELATIONS = range(4)  # what is drawn


@dataclass(frozen=True)
class ConditionMean:
    """The mean rating of a condition, with its 95 % interval over raters and stimuli."""

    condition: str
    mean: float | None
    """None if nobody has rated it."""
    low: float | None
    high: float | None
    ratings: int
    raters: int
    stimuli: int


@dataclass(frozen=True)
class Counts:
    """How many took part, and how much they answered."""

    began: int
    """Raters who consented."""
    finished: int
    kept: int
    """Raters whose ratings are analysed."""
    ratings: int
    """Of the raters kept, without the repeated clips."""
    stimuli: int
    """Clips with at least one of these ratings."""
    repeats: int
    """Clips that a kept rater rated a second time."""
    repeats_within_1: int
    """Of these, with a second rating at most 1 from the first."""
    first_day: str
    last_day: str
    """Dates of the first consent and the last answer, UTC."""


@dataclass(frozen=True)
class Analysis:
    """The results of a study."""

    counts: Counts
    means: tuple[ConditionMean, ...]
    hypotheses: tuple[Comparison, ...]
    """The primary analysis: one for each hypothesis of the design, adjusted over these."""
    all_pairs: tuple[Comparison, ...]
    """Exploratory: adjusted over all pairs of conditions."""
    mixed_model: MixedModel | None
    """None if there are too few ratings to fit it."""
    alpha: float | None
    """Krippendorff's, for ordinal ratings."""
    excluded: tuple[Excluded, ...]


@dataclass(frozen=True, eq=False)
class Collected:
    """What a study has collected: who took part and what they answered, with the key."""

    design: Design
    sessions: Sessions
    key: Mapping[str, Keyed]
    raters: Sequence[Rater]
    answers: Sequence[Answer]

    def excluded(self) -> list[Excluded]:
        """The raters who are left out."""
        return excluded(self.raters, self.answers, self.sessions.sessions, self.design.exclusion)

    def kept(self) -> list[int]:
        """The numbers of the raters who are not."""
        out = {one.rater for one in self.excluded()}
        return [rater.number for rater in self.raters if rater.number not in out]

    def stimuli(self) -> list[str]:
        """The clips that are rated, by condition."""
        rated = [name for name, one in self.key.items() if one.condition >= 0]
        return sorted(rated, key=lambda name: (self.key[name].condition, self.key[name].stimulus))

    def table(self, raters: Sequence[int]) -> Ratings:
        """The ratings by these raters; second ratings of a clip are not among them."""
        stimuli = self.stimuli()
        row = {rater: index for index, rater in enumerate(raters)}
        column = {name: index for index, name in enumerate(stimuli)}
        scores = np.full((len(row), len(column)), np.nan)
        for answer in self.answers:
            if answer.role == "rating" and answer.rater in row:
                scores[row[answer.rater], column[answer.clip]] = answer.value
        condition_of = np.array([self.key[name].condition for name in stimuli], np.int64)
        return Ratings(scores, condition_of, tuple(one.name for one in self.design.conditions))


def analyse(collected: Collected) -> Analysis:
    """Analyse the ratings of the raters who are not left out, as the design says.

    Raises:
        StudyError: Fewer than two raters are left.
    """
    out, kept = collected.excluded(), collected.kept()
    if len(kept) < MIN_RATERS:
        raise StudyError(_too_few(len(collected.raters), out))
    design, ratings = collected.design, collected.table(kept)

    def random(what: int) -> Generator:
        return generator(design.seed, RandomStream.STUDY_ANALYSIS, what)

    return Analysis(
        counts=_counts(collected, kept),
        means=_means(ratings, random(_INTERVALS)),
        hypotheses=tuple(compare(ratings, random(_HYPOTHESES), design.pairs())),
        all_pairs=tuple(compare(ratings, random(_ALL_PAIRS), all_pairs(len(design.conditions)))),
        mixed_model=fit_mixed_model(ratings),
        alpha=ordinal_alpha(ratings),
        excluded=tuple(out),
    )


def _too_few(began: int, out: Sequence[Excluded]) -> str:
    left_out = "; ".join(f"rater {one.rater} {', '.join(one.reasons)}" for one in out[:3])
    more = f" and {len(out) - 3} others" if len(out) > 3 else ""
    why = f"; left out: {left_out}{more}" if out else ""
    return f"{began} raters began and {began - len(out)} can be analysed, but at least {MIN_RATERS} are needed{why}"


def _means(ratings: Ratings, random: Generator) -> tuple[ConditionMean, ...]:
    low, high = interval(ratings, random)
    heard = ~np.isnan(ratings.scores)
    found = []
    for condition, (name, mean) in enumerate(zip(ratings.conditions, ratings.means().tolist(), strict=True)):
        own = heard[:, ratings.condition_of == condition]
        counts = int(own.sum()), int(own.any(axis=1).sum()), int(own.any(axis=0).sum())
        ends = (mean, float(low[condition]), float(high[condition])) if counts[0] else (None, None, None)
        found.append(ConditionMean(name, *ends, *counts))
    return tuple(found)


def _counts(collected: Collected, kept: Sequence[int]) -> Counts:
    of_kept = set(kept)
    own = [answer for answer in collected.answers if answer.rater in of_kept]
    again = [apart for rater in kept for apart in repeat_differences([one for one in own if one.rater == rater])]
    ratings = [answer for answer in own if answer.role == "rating"]
    days = [rater.started[:10] for rater in collected.raters] + [one.answered[:10] for one in collected.answers]
    return Counts(
        began=len(collected.raters),
        finished=sum(rater.finished is not None for rater in collected.raters),
        kept=len(kept),
        ratings=len(ratings),
        stimuli=len({answer.clip for answer in ratings}),
        repeats=len(again),
        repeats_within_1=sum(apart <= 1 for apart in again),
        first_day=min(days),
        last_day=max(days),
    )
