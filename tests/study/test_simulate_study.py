"""Simulated raters answer a copy of a study through its server, and are called simulated."""

import json
from pathlib import Path

import numpy as np
import pytest
from answered import answered
from small_study import make_study

from pianogen.config import StudySimulateConfig
from pianogen.errors import StudyError
from pianogen.study.answers import read_answers
from pianogen.study.coverage import coverage
from pianogen.study.folder import StudyFolder
from pianogen.study.rater_program import RaterProgram
from pianogen.study.results import collect
from pianogen.study.simulated import SimulatedRatings, simulate_study
from pianogen.study.simulation import Spread, expected_rating

RATERS = 3
MEANS = "lstm-0: 1\nlstm-0 with prompt: 2\nreal: 5\nanchor: 0\n"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, StudyFolder]:
    """A study, and its copy that three raters have answered."""
    folder = make_study(tmp_path_factory.mktemp("simulated") / "study")
    before = sorted(path.name for path in folder.path.iterdir())
    copy = simulate_study(folder, StudySimulateConfig(raters=RATERS))
    assert sorted(path.name for path in folder.path.iterdir()) == before
    return folder, copy


def test_every_simulated_rater_goes_through_all_pages(simulated: tuple[StudyFolder, StudyFolder]) -> None:
    _, copy = simulated
    raters, answers = read_answers(copy)
    assert [rater.number for rater in raters] == list(range(RATERS))
    assert all(rater.finished for rater in raters)
    assert len(answers) == sum(len(session) for session in copy.sessions().sessions[:RATERS])


def test_the_copy_is_called_simulated_and_the_study_is_not(simulated: tuple[StudyFolder, StudyFolder]) -> None:
    folder, copy = simulated
    assert (folder.design().simulated, copy.design().simulated) == (False, True)


@pytest.mark.parametrize("name", [".", "clips/.."])
def test_the_copy_of_the_folder_one_is_in_stands_beside_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_study(tmp_path / "study").path)
    copy = simulate_study(StudyFolder(Path(name)), StudySimulateConfig(raters=1))
    assert copy.path == tmp_path / "study-simulated"


def test_the_ratings_are_those_of_the_seed(simulated: tuple[StudyFolder, StudyFolder]) -> None:
    folder, copy = simulated
    means = [2.5, 3.5, 4.9, 0.5]  # the paper's, and the anchor's
    drawn = SimulatedRatings.drawn(folder.key(), means, folder.design().stimuli, StudySimulateConfig(raters=RATERS))
    rated = [one for one in collect(copy).answers if one.role != "check"]
    assert [one.value for one in rated] == [drawn.of(one.rater, one.clip, one.position) for one in rated]


def test_checks_are_answered_rightly(simulated: tuple[StudyFolder, StudyFolder]) -> None:
    _, copy = simulated
    collected = collect(copy)
    assert not any("check" in reason for one in collected.excluded() for reason in one.reasons)


def test_an_existing_copy_is_not_written_to(simulated: tuple[StudyFolder, StudyFolder]) -> None:
    folder, _ = simulated
    with pytest.raises(StudyError, match="study-simulated holds a study already"):
        simulate_study(folder, StudySimulateConfig(raters=RATERS))


def test_an_interrupted_simulation_leaves_nothing_and_can_be_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_study(tmp_path / "study")

    def interrupted(self: RaterProgram) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RaterProgram, "take_part", interrupted)
        with pytest.raises(KeyboardInterrupt):
            simulate_study(folder, StudySimulateConfig(raters=1))
    assert [path.name for path in tmp_path.iterdir()] == ["study"]
    assert read_answers(simulate_study(folder, StudySimulateConfig(raters=1)))[0][0].finished


def test_a_study_with_answers_of_people_is_refused(tmp_path: Path) -> None:
    folder = answered(tmp_path / "study", raters=1)
    with pytest.raises(StudyError, match=r"people take part in .*: raters are simulated only before"):
        simulate_study(folder, StudySimulateConfig())
    assert not (tmp_path / "study-simulated").exists()


def test_means_of_a_file_must_name_every_condition(tmp_path: Path) -> None:
    folder, file = make_study(tmp_path / "study"), tmp_path / "means.yaml"
    file.write_text("lstm-0: 1\n")
    with pytest.raises(StudyError, match="must give a mean to each of the conditions 'lstm-0', "):
        simulate_study(folder, StudySimulateConfig(means=str(file)))


def test_many_simulated_ratings_have_the_means_that_are_expected(tmp_path: Path) -> None:
    key, means = make_study(tmp_path / "study").key(), [1.0, 2.0, 5.0, 0.0]
    settings = StudySimulateConfig(stimulus_sd=0.0)
    drawn = SimulatedRatings.drawn(key, means, 3, settings)
    for condition, mean in enumerate(means):
        values = [drawn.of(rater, f"clip{condition}0", 0) for rater in range(300)]
        assert np.mean(values) == pytest.approx(expected_rating(mean, Spread(stimulus=0.0)), abs=0.2)


def test_stated_means_are_used(tmp_path: Path) -> None:
    folder, file = make_study(tmp_path / "study"), tmp_path / "means.yaml"
    file.write_text(MEANS)
    still = StudySimulateConfig(
        raters=1, means=str(file), out=str(tmp_path / "out"), rater_sd=0, stimulus_sd=0, error_sd=0
    )
    copy = simulate_study(folder, still)
    table = collect(copy).table([0])
    assert table.means().tolist() == [1, 2, 5, 0]
    assert json.loads((copy.path / "design.json").read_text())["simulated"] is True


@pytest.mark.parametrize("spread", [Spread(), Spread(0.6, 0.6, 0.5), Spread(0.3, 0.2, 1.0)], ids=str)
def test_intervals_cover_the_truth_of_simulated_studies(spread: Spread) -> None:
    (found,) = coverage(100, draws=300, spreads=[spread], shown=False)
    assert 0.92 <= found.pooled <= 0.98
