"""What sweep/journal.py assumes of Optuna beyond its public interface."""

from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from pianogen.errors import RunError
from pianogen.sweep.journal import open_journal, trial_of


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return optuna.create_study(storage=open_journal(tmp_path / "journal.log"), study_name="sweep")


def test_a_trial_of_another_process_can_be_continued(study: optuna.Study) -> None:
    number = study.ask().number
    (frozen,) = study.get_trials()
    trial_of(study, frozen).report(0.5, step=3)
    assert study.get_trials()[number].intermediate_values == {3: 0.5}


def test_a_distribution_can_be_asked_whether_it_contains_a_value() -> None:
    number, choice = FloatDistribution(0.0, 1.0), CategoricalDistribution(["a", "b"])
    assert [number._contains(number.to_internal_repr(value)) for value in (0.5, 2.0)] == [True, False]
    assert choice._contains(choice.to_internal_repr("a"))


def test_a_record_is_applied_where_its_errors_are_explained(study: optuna.Study, tmp_path: Path) -> None:
    with (tmp_path / "journal.log").open("a") as journal:
        journal.write('{"op_code": 99}\n')
    with pytest.raises(RunError, match=r"journal\.log is damaged"):
        study.get_trials()


def test_half_a_line_is_removed_before_the_next_record(study: optuna.Study, tmp_path: Path) -> None:
    with (tmp_path / "journal.log").open("a") as journal:
        journal.write('{"op_co')
    study.ask()
    assert '{"op_co{' not in (tmp_path / "journal.log").read_text()
