"""What a study expects, and its power."""

from pathlib import Path

import numpy as np
import pytest

from pianogen.errors import StudyError
from pianogen.study.hypotheses import conditions_of, hypotheses_of
from pianogen.study.means import paper_means, read_means
from pianogen.study.power import power
from pianogen.study.simulation import Size

CONDITIONS = conditions_of([("rnn-0", "rnn"), ("mine", "new kind")], raw=False)


def test_each_model_has_two_conditions_beside_real_music_and_the_anchor() -> None:
    names = [condition.name for condition in CONDITIONS]
    assert names == ["rnn-0", "rnn-0 with prompt", "mine", "mine with prompt", "real", "anchor"]


def test_hypotheses_are_about_reference_anchor_prompt_and_the_order_of_models() -> None:
    found = hypotheses_of(CONDITIONS)
    assert len(found) == len(set(found)) == 4 + 4 + 2 + 2
    assert {"mine < real", "anchor < rnn-0 with prompt", "rnn-0 < rnn-0 with prompt", "rnn-0 < mine"} <= set(found)


def test_the_papers_means_are_taken_by_architecture() -> None:
    assert paper_means(CONDITIONS) == [1.0, 2.2, 2.6, 3.8, 4.9, 0.5]


def test_means_are_read_by_the_names_of_conditions(tmp_path: Path) -> None:
    file = tmp_path / "means.yaml"
    file.write_text("\n".join(f"{one.name}: {number / 2}" for number, one in enumerate(reversed(CONDITIONS))))
    assert read_means(file, CONDITIONS) == [2.5, 2.0, 1.5, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("real: 4", "must give a mean to each of the conditions 'rnn-0', 'rnn-0 with prompt'"),
        ("- 4", "must give a mean to each"),
        ("{rnn-0: 9, rnn-0 with prompt: 1, mine: 1, mine with prompt: 1, real: 1, anchor: 1}", "must be from 0 to 5"),
        ("{rnn-0: a, rnn-0 with prompt: 1, mine: 1, mine with prompt: 1, real: 1, anchor: 1}", "must be a number"),
        (": [", "cannot be read"),
    ],
)
def test_means_that_do_not_fit_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "means.yaml").write_text(text)
    with pytest.raises(StudyError, match=message):
        read_means(tmp_path / "means.yaml", CONDITIONS)


def test_missing_means_are_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.yaml cannot be read"):
        read_means(tmp_path / "none.yaml", CONDITIONS)


def test_power_is_that_of_the_tests() -> None:
    """A large difference is found, none is not, and more raters find more."""
    means, pairs = [1.0, 4.5, 2.5, 2.5, 2.9], [(0, 1), (2, 3), (2, 4)]
    few, many = (power(means, pairs, Size(raters, 2, 6), 60, 1) for raters in (8, 40))
    assert few[0] > 0.95
    assert few[1] < 0.1
    assert few[2] < many[2]


def test_power_depends_on_the_seed_alone() -> None:
    one, again = (power([2.0, 3.0], [(0, 1)], Size(6, 1, 4), 30, 1) for _ in range(2))
    assert np.array_equal(one, again)
