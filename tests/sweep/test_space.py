"""The search space: what a file says is what is searched, and a mistake in it is one clear line."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from searching import space_file

from pianogen.config import TrainConfig, flatten, to_dict
from pianogen.errors import SettingError
from pianogen.sweep.naming import with_settings
from pianogen.sweep.space import Choice, Range, Space, read_space, require_comparable_steps

CONFIGS = Path(__file__).parents[2] / "configs"


@given(some.lists(some.integers(1, 5), min_size=1, max_size=4))
def test_a_grid_holds_every_combination_once(sizes: list[int]) -> None:
    space = Space({f"setting{index}": Choice(tuple(range(size))) for index, size in enumerate(sizes)}, {})
    points = {tuple(point.values()) for point in space.grid()}
    assert len(points) == len(space.grid()) == math.prod(sizes)


@given(some.integers(-50, 50), some.integers(1, 40), some.integers(1, 9))
def test_a_range_with_a_decimal_step_reaches_both_ends(first: int, number: int, tenths: int) -> None:
    low, step = first / 10, tenths / 10
    points = Range(low, low + number * step, step).points()
    assert points is not None
    assert (len(points), points[0], points[-1]) == (number + 1, low, pytest.approx(low + number * step))


def test_setting_values_by_name_changes_only_these() -> None:
    changed = flatten(to_dict(with_settings(TrainConfig(), {"optim.lr": 0.5, "model.kind": "rnn"})))
    before = flatten(to_dict(TrainConfig()))
    assert {name: value for name, value in changed.items() if value != before[name]} == {
        "optim.lr": 0.5,
        "model.kind": "rnn",
    }


def test_nested_and_dotted_names_mean_the_same(tmp_path: Path) -> None:
    nested = read_space(space_file(tmp_path, "optim: {lr: {low: 0.1, high: 1}, beta1: [0.5]}\nseed: 3"), TrainConfig())
    dotted = read_space(
        space_file(tmp_path, "optim.lr: {low: 0.1, high: 1}\noptim.beta1: [0.5]\nseed: 3"), TrainConfig()
    )
    assert nested == dotted == Space({"optim.lr": Range(0.1, 1.0), "optim.beta1": Choice((0.5,))}, {"seed": 3})


def test_numbers_are_read_as_training_reads_them(tmp_path: Path) -> None:
    space = read_space(space_file(tmp_path, "optim: {lr: [1e-3, 1], clip_norm: {low: 1, high: 3}}"), TrainConfig())
    assert space.searched == {"optim.lr": Choice((0.001, 1.0)), "optim.clip_norm": Range(1.0, 3.0)}
    assert [type(value) for value in (*space.searched["optim.lr"].values, space.searched["optim.clip_norm"].low)] == [  # type: ignore[union-attr]
        float
    ] * 3


def test_the_example_is_a_space_of_each_model() -> None:
    assert read_space(CONFIGS / "sweep.yaml", TrainConfig()).searched.keys() == {
        "model.hidden_size",
        "model.dropout",
        "optim.lr",
    }


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("optim: {lrr: [1]}", r"unknown setting 'optim\.lrr'; did you mean 'optim\.lr'\?"),
        ("optim: [1]", "'optim' is 1, but it must be settings"),
        ("optim.lr: [fast]", "Expected a float"),
        ("optim.lr: [0.1, 0.10]", "must differ"),
        ("optim.lr: []", "one or more plain values"),
        ("optim.lr: {low: 1}", "needs both low and high"),
        ("optim.lr: {low: 2, high: 1}", "low must be below high"),
        ("optim.lr: {low: 0, high: 1, log: true}", "must start above 0"),
        ("optim.lr: {low: 1, high: 2, log: true, step: 1}", "either log or a step"),
        ("optim.lr: {low: 1, high: 2, setp: 1}", "made of low, high, step and log"),
        ("optim.lr: {low: slow, high: 2}", "must be a number"),
        ("optim.lr: {low: -1, high: 2}", r"'optim\.lr' is -1\.0, but it must be above 0"),
        ("model.hidden_size: {low: 1, high: 8, step: 2}", "steps of 2 do not reach"),
        ("model.hidden_size: {low: 1, high: 8, step: 0.5}", "whole number"),
        ("model.mask: [strict, paper]", "cannot be compared"),
        ("validation: {slice_tokens: [1, 2]}", "cannot be compared"),
        ("optim.lr: [0.1]\nout: here", "belongs on the command line"),
        ("optim.lr: 0.1", "nothing is searched"),
        ("optim: {lr: [0.1]}\nmodel: {kind: gru}", "'gru', but it must be one of rnn, lstm, attn, sha"),
        ("", "must contain settings"),
        ("a: b: c", "cannot read"),
    ],
)
def test_a_bad_space_file_is_named_with_what_is_wrong(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint) as error:
        read_space(space_file(tmp_path, content), TrainConfig())
    assert str(tmp_path / "space.yaml") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_space_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"cannot read .*none\.yaml"):
        read_space(tmp_path / "none.yaml", TrainConfig())


def test_a_grid_over_a_continuous_range_is_refused() -> None:
    with pytest.raises(SettingError, match=r"'optim\.lr' is a range without a step"):
        Space({"optim.lr": Range(0.1, 1.0)}, {}).grid()


def test_pruning_trials_whose_steps_differ_in_size_is_refused() -> None:
    with pytest.raises(SettingError, match=r"'global_batch' changes how much a step reads.* --prune false"):
        require_comparable_steps(Space({"global_batch": Choice((4, 8))}, {}))
