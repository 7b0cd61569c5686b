"""Raters are left out by the rules of the design, and by nothing else."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pianogen.study.answers import Answer, Rater
from pianogen.study.design import Exclusion, Hearing
from pianogen.study.exclusion import broken_rules, excluded

SESSION = (
    *(Hearing(f"clip{number}", "rating") for number in range(5)),
    Hearing("clip0", "repeat"),
    Hearing("check", "check", 3),
)
RATINGS = st.lists(st.integers(0, 5), min_size=5, max_size=5).filter(lambda values: len(set(values)) > 1)


def answers(ratings: list[int], again: int | None = None, notes: int = 3) -> list[Answer]:
    """The answers of a whole session."""
    values = [*ratings, ratings[0] if again is None else again, notes]
    return [
        Answer(0, position, page.clip, page.role, value, 1.0, "", "2026-01-01T00:00:00+00:00")
        for position, (page, value) in enumerate(zip(SESSION, values, strict=True))
    ]


@given(RATINGS)
def test_consistent_answers_break_no_rule(ratings: list[int]) -> None:
    assert broken_rules(answers(ratings), SESSION, Exclusion()) == []


@given(RATINGS, st.integers(0, 99))
def test_a_wrong_number_of_notes_breaks_a_rule(ratings: list[int], notes: int) -> None:
    assert bool(broken_rules(answers(ratings, notes=notes), SESSION, Exclusion())) == (notes != 3)


@given(RATINGS, st.integers(0, 5), st.integers(0, 5))
def test_a_second_rating_may_be_as_far_from_the_first_as_the_rule_says(
    ratings: list[int], again: int, most: int
) -> None:
    broken = broken_rules(answers(ratings, again), SESSION, Exclusion(max_repeat_difference=most))
    assert bool(broken) == (abs(again - ratings[0]) > most)


@given(st.integers(0, 5))
def test_equal_ratings_break_a_rule_that_can_be_switched_off(value: int) -> None:
    given_answers = answers([value] * 5)
    (reason,) = broken_rules(given_answers, SESSION, Exclusion())
    assert reason == f"gave all 5 clips the rating {value}"
    assert broken_rules(given_answers, SESSION, Exclusion(all_equal=False)) == []


@given(RATINGS, st.integers(0, 7))
def test_a_session_that_was_left_breaks_only_the_rule_on_its_number_of_ratings(ratings: list[int], pages: int) -> None:
    rules = Exclusion(all_equal=False)
    broken = broken_rules(answers(ratings)[:pages], SESSION, rules)
    few = min(pages, 5)
    assert broken == ([f"gave {few} ratings (at least 3)"] if few < 3 else [])


def test_every_broken_rule_is_named() -> None:
    broken = broken_rules(answers([1, 1, 1, 1, 1], again=5, notes=4), SESSION, Exclusion())
    assert broken == [
        "failed attention checks: 1 (at most 0)",
        "rated one clip twice, 4 apart (at most 2)",
        "gave all 5 clips the rating 1",
    ]


def test_only_the_rater_who_breaks_a_rule_is_left_out() -> None:
    raters = [Rater(number, 0, "2026", None) for number in range(3)]
    bad = [replace(one, rater=1) for one in answers([1, 2, 3, 4, 5], notes=9)]
    good = [replace(one, rater=number) for number in (0, 2) for one in answers([1, 2, 3, 4, 5])]
    assert [one.rater for one in excluded(raters, good + bad, [SESSION], Exclusion())] == [1]
