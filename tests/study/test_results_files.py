"""What `pianogen study results` writes: pictures, tables, numbers, and the run in MLflow."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from answered import answered, by_condition

from pianogen.cli import main
from pianogen.errors import StudyError
from pianogen.study.analysis import analyse
from pianogen.study.csv_files import ratings_csv
from pianogen.study.design import Hearing
from pianogen.study.figure import groups_of, write_figure
from pianogen.study.folder import StudyFolder
from pianogen.study.methods import paragraph
from pianogen.study.results import collect, results
from pianogen.study.results_page import results_page

if TYPE_CHECKING:
    from mlflow import MlflowClient


def one_fails(rater: int, position: int, page: Hearing) -> int:
    """Rater 2 hears 9 notes."""
    return 9 if rater == 2 and page.expected is not None else by_condition(rater, position, page)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study with results; rater 2 is left out."""
    folder = answered(tmp_path_factory.mktemp("made") / "study", rating=one_fails)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIANOGEN_TRACK", "off")
        results(folder)
    return folder


def read(folder: StudyFolder, name: str) -> str:
    """A file of the results."""
    return (folder.results / name).read_text()


def test_every_file_of_the_results_is_there(made: StudyFolder) -> None:
    names = {path.name for path in made.results.iterdir()}
    assert names == {"figure-6.png", "figure-6.svg", "results.md", "results.json", "ratings.csv", "comments.csv"}


def test_the_table_of_ratings_has_a_row_for_each_answer(made: StudyFolder) -> None:
    collected = collect(made)
    rows = list(csv.DictReader(io.StringIO(read(made, "ratings.csv"))))
    assert [(row["clip"], int(row["value"])) for row in rows] == [(one.clip, one.value) for one in collected.answers]
    assert {row["rater"] for row in rows if row["excluded"] == "1"} == {"2"}


def test_the_table_of_ratings_has_neither_times_nor_comments(made: StudyFolder) -> None:
    content = read(made, "ratings.csv")
    assert not re.search(r"\d{4}-\d\d-\d\d|=1\+1", content)


def test_a_comment_is_no_formula_for_a_spreadsheet_program(made: StudyFolder) -> None:
    rows = list(csv.DictReader(io.StringIO(read(made, "comments.csv"))))
    assert {row["comment"] for row in rows} == {"'=1+1"}


def test_the_page_names_who_was_left_out_with_the_reason(made: StudyFolder) -> None:
    assert "| 2 | failed attention checks: 1 (at most 0) |" in read(made, "results.md")


@pytest.mark.parametrize("more", [0, 1])
def test_results_before_the_last_rater_planned_are_called_interim(made: StudyFolder, more: int) -> None:
    found = collect(made)
    planned = replace(found, design=replace(found.design, raters=6 + more))
    assert ("Interim: 6 of the 7 raters" in results_page(planned, analyse(planned), None)) is bool(more)


def test_both_analyses_are_named(made: StudyFolder) -> None:
    page = read(made, "results.md")
    assert "## Hypotheses: paired permutation tests (primary)" in page
    assert "## Linear mixed model (beside the primary analysis)" in page


def test_the_methods_state_what_was_counted(made: StudyFolder) -> None:
    collected = collect(made)
    text = paragraph(collected, replace(analyse(collected), alpha=0.125))
    assert "We analysed 40 ratings of 12 clips by 5 raters." in text
    assert "8 clips, 2 of each condition, 1 clip a second time, and 1 attention check" in text
    assert "the power for its 4 hypotheses, simulated beforehand, was 0.70 to 0.99." in text
    assert "6 raters took part" in text
    assert "were left out: 1." in text
    assert "alpha for ordinal ratings was 0.12" in text


def test_the_numbers_name_conditions_and_hypotheses(made: StudyFolder) -> None:
    found = json.loads(read(made, "results.json"))
    for one in found["hypotheses"]:
        assert f"{found['conditions'][one['first']]} < {found['conditions'][one['second']]}" == one["hypothesis"]


def test_a_measure_of_the_clips_notes_is_correlated(made: StudyFolder) -> None:
    found = {one["measure"]: one for one in json.loads(read(made, "results.json"))["correlations"]}
    assert found["pitch_range"]["stimuli"] == 12
    assert -1 <= found["pitch_range"]["low"] <= found["pitch_range"]["high"] <= 1


def test_a_key_that_was_moved_away_is_found_with_its_notes(made: StudyFolder, tmp_path: Path) -> None:
    folder = StudyFolder(Path(shutil.copytree(made.path, tmp_path / "study")))
    away = tmp_path / "away.json"
    folder.key_path.rename(away)
    (folder.path / "key").rename(tmp_path / "away")
    moved = results(folder, away)
    assert moved.correlations
    assert read(folder, "results.md") == read(made, "results.md")


def test_the_same_answers_draw_the_same_picture(made: StudyFolder) -> None:
    collected = collect(made)
    for form in ("png", "svg"):
        image = io.BytesIO()
        write_figure(collected.design, analyse(collected), image, form)
        assert image.getvalue() == (made.results / f"figure-6.{form}").read_bytes()


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_ratings_are_called_so_on_picture_page_and_table(made: StudyFolder, simulated: bool) -> None:
    collected = collect(made)
    marked = replace(collected, design=replace(collected.design, simulated=simulated))
    analysis, image = analyse(marked), io.BytesIO()
    write_figure(marked.design, analysis, image, "svg")
    assert ("SIMULATED" in image.getvalue().decode()) == simulated
    assert ("simulated raters" in image.getvalue().decode()) == simulated
    assert ("**Simulated: " in results_page(marked, analysis, None)) == simulated
    assert paragraph(marked, analysis).startswith("(Simulated: ") == simulated
    assert {row["simulated"] for row in csv.DictReader(io.StringIO(ratings_csv(marked)))} == {str(int(simulated))}


def test_the_conditions_of_a_model_stand_together_without_prompt_first(made: StudyFolder) -> None:
    conditions = made.design().conditions[::-1]
    assert groups_of(conditions) == [("anchor", [0]), ("real", [1]), ("lstm-0", [3, 2])]


def test_the_command_prints_means_hypotheses_and_who_was_left_out(
    made: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "results", str(made.path)]) == 0
    printed = capsys.readouterr().out
    for text in ("lstm-0 with prompt", "3.40", "lstm-0 < real", "left out: rater 2 failed attention checks: 1"):
        assert text in printed
    assert str(made.results / "results.md") in printed


def test_results_that_cannot_be_written_are_one_line(made: StudyFolder, tmp_path: Path) -> None:
    folder = StudyFolder(Path(shutil.copytree(made.path, tmp_path / "study")))
    shutil.rmtree(folder.results)
    folder.results.write_text("")
    with pytest.raises(StudyError, match=r"cannot create the folder .*results: File exists$"):
        results(folder)


def test_a_folder_without_a_study_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "results", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"pianogen: {tmp_path / 'design.json'} is missing; ")


def test_a_store_that_cannot_be_reached_is_a_warning(
    made: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIANOGEN_TRACK", "on")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://store")
    folder = StudyFolder(Path(shutil.copytree(made.path, tmp_path / "study")))
    assert results(folder).folder.is_dir()
    assert "warning: " in capsys.readouterr().err


@pytest.mark.mlflow
@pytest.mark.filterwarnings("ignore")  # mlflow and sqlalchemy deprecate parts of each other as they load
def test_the_results_are_a_run_in_mlflow(made: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = StudyFolder(Path(shutil.copytree(made.path, tmp_path / "study")))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    results(folder)
    client, run_id = _client(tmp_path), json.loads((folder.path / "mlflow.json").read_text())["run_id"]
    run = client.get_run(run_id)
    means = {one.condition: one.mean for one in analyse(collect(folder)).means}
    assert run.data.metrics["mean/lstm-0-with-prompt"] == pytest.approx(means["lstm-0 with prompt"])
    assert (run.data.tags["kind"], run.data.tags["simulated"], run.info.status) == ("study", "false", "FINISHED")
    sent = {one.path for one in client.list_artifacts(run_id, "results")}
    assert sent == {f"results/{name}" for name in ("figure-6.png", "figure-6.svg", "results.md", "results.json")} | {
        "results/ratings.csv"
    }


def _client(folder: Path) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
