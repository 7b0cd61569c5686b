"""A session: the balanced clips, one of them again much later, and one check."""

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from small_study import make_study

from pianogen.study.design import Design, Hearing
from pianogen.study.sessions import MAX_CLIPS, REPEAT_AFTER, clips_per_condition, num_sessions, plan_sessions

CHECKS = [Hearing(f"check{count}", "check", count) for count in (2, 3, 4, 5)]
SIZES = {"conditions": st.integers(4, 12), "stimuli": st.integers(2, 12), "raters": st.integers(1, 40)}


def _plan(conditions: int, stimuli: int, raters: int) -> tuple[tuple[Hearing, ...], ...]:
    names = [[f"{condition}-{stimulus}" for stimulus in range(stimuli)] for condition in range(conditions)]
    return plan_sessions(raters, clips_per_condition(conditions, stimuli), names, CHECKS, seed=3)


@given(**SIZES)
def test_a_clip_is_heard_again_at_least_four_clips_later(conditions: int, stimuli: int, raters: int) -> None:
    for heard in _plan(conditions, stimuli, raters):
        clips = [one for one in heard if one.role != "check"]
        (again,) = (place for place, one in enumerate(clips) if one.role == "repeat")
        first = next(place for place, one in enumerate(clips) if one.clip == clips[again].clip)
        assert again - first >= REPEAT_AFTER


@given(**SIZES)
def test_a_session_has_one_check_and_at_most_20_clips(conditions: int, stimuli: int, raters: int) -> None:
    for heard in _plan(conditions, stimuli, raters):
        roles = Counter(one.role for one in heard)
        assert roles["check"] == roles["repeat"] == 1
        assert roles["rating"] + roles["repeat"] <= MAX_CLIPS
        assert heard[0].role == "rating"


@given(**SIZES)
def test_over_all_sessions_every_clip_is_rated_equally_often(conditions: int, stimuli: int, raters: int) -> None:
    plan = _plan(conditions, stimuli, raters)
    assert len(plan) >= raters
    rated = Counter(one.clip for heard in plan for one in heard if one.role == "rating")
    assert len(rated) == conditions * stimuli
    assert len(set(rated.values())) == 1


def test_the_number_of_sessions_is_the_least_that_makes_the_square_whole() -> None:
    assert num_sessions(raters=14, conditions=4, clips=2, stimuli=4) == 14
    assert num_sessions(raters=14, conditions=8, clips=2, stimuli=8) == 16


def test_places_of_the_repeat_and_the_check_differ_between_sessions() -> None:
    plan = _plan(6, 6, 30)
    for role in ("repeat", "check"):
        assert len({[one.role for one in heard].index(role) for heard in plan}) > 4


def test_a_study_that_is_written_reads_back_the_same(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study")
    design: Design = study.design()
    assert design.pairs()[0] == (0, 2)
    assert len(study.sessions().sessions) == num_sessions(14, 4, 2, 3)
    assert set(study.key()) == set(study.sessions().seconds)
