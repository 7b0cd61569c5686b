"""Which raters are left out, by the rules that the design fixed before anyone listened.

A session that was left early counts as far as it goes: a check or a repeated clip that was not reached breaks no rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pianogen.study.answers import Answer, Rater
from pianogen.study.design import Exclusion, Hearing


@dataclass(frozen=True)
class Excluded:
    """A rater who is left out."""

    rater: int
    reasons: tuple[str, ...]
    """One for each rule that was broken, with the value and the rule."""


def excluded(
    raters: Sequence[Rater], answers: Sequence[Answer], sessions: Sequence[Sequence[Hearing]], rules: Exclusion
) -> list[Excluded]:
    """The raters who break a rule."""
    found = []
    for rater in raters:
        own = [answer for answer in answers if answer.rater == rater.number]
        if broken := broken_rules(own, sessions[rater.session % len(sessions)], rules):
            found.append(Excluded(rater.number, tuple(broken)))
    return found


def broken_rules(answers: Sequence[Answer], session: Sequence[Hearing], rules: Exclusion) -> list[str]:
    """The rules that one rater's answers break."""
    ratings = {answer.clip: answer.value for answer in answers if answer.role == "rating"}
    failed = sum(answer.role == "check" and answer.value != session[answer.position].expected for answer in answers)
    largest = max(repeat_differences(answers), default=0)
    broken = []
    if failed > rules.max_failed_checks:
        broken.append(f"failed attention checks: {failed} (at most {rules.max_failed_checks})")
    if largest > rules.max_repeat_difference:
        broken.append(f"rated one clip twice, {largest} apart (at most {rules.max_repeat_difference})")
    if len(ratings) < rules.min_ratings:
        broken.append(f"gave {len(ratings)} ratings (at least {rules.min_ratings})")
    elif rules.all_equal and len(set(ratings.values())) == 1:
        broken.append(f"gave all {len(ratings)} clips the rating {next(iter(ratings.values()))}")
    return broken


def repeat_differences(answers: Sequence[Answer]) -> list[int]:
    """How far apart one rater's two ratings of each repeated clip are."""
    first = {answer.clip: answer.value for answer in answers if answer.role == "rating"}
    return [abs(answer.value - first[answer.clip]) for answer in answers if answer.role == "repeat"]
