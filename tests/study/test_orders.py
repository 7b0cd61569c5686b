"""Orders are balanced: in places, in neighbours, and in how often each stimulus is heard."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pianogen.study.orders import session, williams_square

CONDITIONS = st.integers(2, 11)


@given(CONDITIONS)
def test_every_condition_has_each_place_equally_often(conditions: int) -> None:
    square = williams_square(conditions)
    for place in square.T:
        assert set(Counter(place.tolist()).values()) == {len(square) // conditions}


@given(CONDITIONS)
def test_every_condition_follows_each_other_one_equally_often(conditions: int) -> None:
    square = williams_square(conditions)
    followed = Counter(pair for row in square.tolist() for pair in pairwise(row))
    assert len(followed) == conditions * (conditions - 1)
    assert set(followed.values()) == {len(square) // conditions}


@given(conditions=CONDITIONS, clips=st.integers(1, 3), stimuli=st.integers(3, 9), rater=st.integers(0, 100))
def test_a_session_has_as_many_different_clips_of_each_condition(
    conditions: int, clips: int, stimuli: int, rater: int
) -> None:
    heard = session(rater, conditions, clips, stimuli)
    assert len(set(heard)) == len(heard) == conditions * clips
    assert set(Counter(clip.condition for clip in heard).values()) == {clips}


@given(conditions=CONDITIONS, clips=st.integers(1, 3), stimuli=st.integers(3, 9))
def test_after_a_round_of_raters_every_stimulus_was_heard_equally_often(
    conditions: int, clips: int, stimuli: int
) -> None:
    heard = Counter(clip for rater in range(stimuli) for clip in session(rater, conditions, clips, stimuli))
    assert set(heard.values()) == {clips}
    assert len(heard) == conditions * stimuli


@given(conditions=st.integers(2, 8), clips=st.integers(1, 2), stimuli=st.integers(2, 8))
def test_over_all_rounds_every_stimulus_has_each_place_equally_often(conditions: int, clips: int, stimuli: int) -> None:
    blocks = clips * len(williams_square(conditions)) * stimuli
    heard = Counter(
        (clip, place % conditions)
        for rater in range(blocks // clips)
        for place, clip in enumerate(session(rater, conditions, clips, stimuli))
    )
    assert len(heard) == conditions * stimuli * conditions
    assert len(set(heard.values())) == 1


@given(conditions=CONDITIONS, rater=st.integers(0, 100))
def test_no_prompt_is_heard_twice_in_a_block(conditions: int, rater: int) -> None:
    block = session(rater, conditions, clips=1, stimuli=conditions)
    assert len({clip.stimulus for clip in block}) == conditions
