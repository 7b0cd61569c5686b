"""What the results are computed from: which answers count, and what they say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from answered import answered, by_condition, collected

from pianogen.errors import StudyError
from pianogen.study.analysis import Collected, analyse
from pianogen.study.design import Hearing
from pianogen.study.results import collect

Raters = Callable[[int, int, Hearing], int]


def nonsense_by_1(rater: int, position: int, page: Hearing) -> int:
    """Rater 1 gives every clip 0, and the right number of notes."""
    return 0 if rater == 1 and page.expected is None else by_condition(rater, position, page)


def repeats_differ(rater: int, position: int, page: Hearing) -> int:
    """Second ratings are one apart from first ones."""
    value = by_condition(rater, position, page)
    return value + (1 if value < 5 else -1) if page.role == "repeat" else value


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    """Six raters, of whom all are kept."""
    return collected(tmp_path_factory.mktemp("whole") / "study")


def test_means_are_those_of_the_ratings(whole: Collected) -> None:
    means = [one.mean for one in analyse(whole).means]
    assert means == pytest.approx([2 + 1 / 3, 3 + 1 / 3, 5, 1 + 1 / 3])


def test_each_interval_holds_its_mean_on_the_scale(whole: Collected) -> None:
    for one in analyse(whole).means:
        assert one.mean is not None
        assert one.low is not None
        assert one.high is not None
        assert 0 <= one.low <= one.mean <= one.high <= 5


def test_second_ratings_change_no_mean(whole: Collected, tmp_path: Path) -> None:
    other = collected(tmp_path / "study", rating=repeats_differ)
    np.testing.assert_array_equal(other.table(other.kept()).scores, whole.table(whole.kept()).scores)
    assert analyse(other).counts.repeats == analyse(other).counts.repeats_within_1 == 6


def test_the_hypotheses_are_those_of_the_design(whole: Collected) -> None:
    tested = analyse(whole).hypotheses
    assert [(one.first, one.second) for one in tested] == whole.design.pairs()
    assert [one.difference for one in tested] == pytest.approx([8 / 3, 5 / 3, 1, 1])


def test_hypotheses_are_adjusted_over_themselves_and_not_over_all_pairs(whole: Collected) -> None:
    found = analyse(whole)
    assert len(found.all_pairs) == 6
    assert max(one.adjusted_p for one in found.hypotheses) <= 4 * min(one.p for one in found.hypotheses)
    assert max(one.adjusted_p for one in found.all_pairs) == pytest.approx(6 * min(one.p for one in found.all_pairs))


def test_a_rater_who_is_left_out_is_named_and_changes_no_mean(tmp_path: Path) -> None:
    found = analyse(collected(tmp_path / "study", rating=nonsense_by_1))
    assert [(one.rater, one.reasons) for one in found.excluded] == [(1, ("gave all 8 clips the rating 0",))]
    assert [one.mean for one in found.means] == pytest.approx([2.4, 3.4, 5, 1.4])


def test_a_session_that_was_left_counts_as_far_as_it_goes(tmp_path: Path) -> None:
    found = collected(tmp_path / "study", stop={2: 5})
    pages = found.sessions.sessions[2][:5]
    scores = found.table(found.kept()).scores
    assert np.count_nonzero(~np.isnan(scores[2])) == sum(page.role == "rating" for page in pages)
    counts = analyse(found).counts
    assert (counts.began, counts.finished, counts.kept) == (6, 5, 6)


def test_without_ratings_the_way_to_get_some_is_said(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="has no ratings yet; `pianogen study serve "):
        collected(tmp_path / "study", raters=0)


def test_too_few_raters_are_named_with_those_who_are_left_out(tmp_path: Path) -> None:
    two = collected(tmp_path / "study", raters=2, rating=nonsense_by_1)
    with pytest.raises(StudyError, match=r"2 raters began and 1 can be analysed, .* rater 1 gave all 8 clips"):
        analyse(two)


def test_a_condition_without_ratings_has_no_mean_and_breaks_nothing(tmp_path: Path) -> None:
    found = collected(tmp_path / "study")
    rest = [one for one in found.answers if not one.clip.startswith("clip3")]
    fewer = Collected(found.design, found.sessions, found.key, found.raters, rest)
    analysis = analyse(fewer)
    assert (analysis.means[3].mean, analysis.means[3].ratings) == (None, 0)
    assert analysis.hypotheses[2].difference is None


def test_a_key_that_was_moved_away_is_asked_for(tmp_path: Path) -> None:
    folder = answered(tmp_path / "study", raters=1)
    folder.key_path.rename(tmp_path / "away.json")
    with pytest.raises(StudyError, match=r"the key .*key.json is missing, .*; give its place with --key"):
        collect(folder)


def test_the_key_of_another_study_is_refused(tmp_path: Path) -> None:
    folder = answered(tmp_path / "study")
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(StudyError, match=r"other.json does not name the clip .*; give the key of this study"):
        collect(folder, other)
