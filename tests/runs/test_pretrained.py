"""`pretrained` is the model that ships with the package, wherever a run is read; no test depends on which it is."""

import json
import tomllib
from pathlib import Path

import pytest
from small_run import make_run

import pianogen
from pianogen.cli import main
from pianogen.errors import RunError
from pianogen.runs import data_of, local_run, open_run, pretrained, writable
from pianogen.runs.exporting import export
from pianogen.runs.model_card import licence_of, model_card

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "pianogen" / "pretrained"
MAX_BYTES = 12_000_000


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model in the place of the one that ships, and an empty cache."""
    folder = export(make_run(tmp_path / "tiny"), tmp_path / "package" / "pretrained").path
    monkeypatch.setattr(pretrained, "FOLDER", folder)
    monkeypatch.setenv("PIANOGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_shipped_model_is_an_export_of_at_most_12_mb_with_card_and_licence() -> None:
    run = open_run(local_run("pretrained"))
    assert (run.path, run.is_exported) == (SHIPPED, True)
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) <= MAX_BYTES
    licence = licence_of(data_of(run))
    assert licence
    assert (SHIPPED / "LICENSE").read_text() == licence.notice
    assert licence.spdx in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]


def test_the_shipped_files_are_what_export_writes_for_them() -> None:
    run = open_run(SHIPPED)
    assert (SHIPPED / "README.md").read_text() == model_card(run)
    run.load_model()  # every hash is right
    files = json.loads((SHIPPED / "manifest.json").read_text())["files"]
    assert files.keys() == {file.relative_to(SHIPPED).as_posix() for file in SHIPPED.rglob("*") if file.is_file()} - {
        "manifest.json"
    }


def test_it_is_a_name_in_the_python_interface(stand_in: Path) -> None:
    assert pianogen.open_run("pretrained").path == stand_in
    assert pianogen.load_model("pretrained").config.hidden_size == 8
    assert len(pianogen.generate("pretrained", num=1, tokens=16)) == 1


def test_it_is_a_name_in_generate_and_export(stand_in: Path, tmp_path: Path) -> None:
    assert main(["generate", "pretrained", "--num", "1", "--tokens", "16", "--out", str(tmp_path / "pieces")]) == 0
    assert json.loads((tmp_path / "pieces" / "0000.json").read_text())["run"] == "pretrained"
    assert main(["export", "pretrained", "--out", str(tmp_path / "copy")]) == 0


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() if file.is_file() else b"" for file in folder.rglob("*")}


@pytest.mark.mlflow
@pytest.mark.filterwarnings("ignore")  # mlflow and sqlalchemy deprecate parts of each other as they load
def test_it_is_a_name_in_track_which_does_not_write_to_the_package(
    stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    before = contents(stand_in)
    assert main(["track", "sync", "pretrained"]) == 0
    assert f"mirrored to {store}" in capsys.readouterr().out
    client = MlflowClient(tracking_uri=store)
    mirrored = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert [run.info.run_name for run in mirrored] == ["pretrained"]
    assert contents(stand_in) == before


def test_what_is_written_to_it_goes_to_a_copy_in_the_cache(stand_in: Path, tmp_path: Path) -> None:
    before = sorted(stand_in.rglob("*"))
    copy = writable(stand_in)
    (copy / "evaluation").mkdir()
    assert copy.name == "pretrained"
    assert copy.is_relative_to(tmp_path / "cache")
    assert writable(stand_in) == copy
    assert sorted(stand_in.rglob("*")) == before
    assert writable(tmp_path / "tiny") == tmp_path / "tiny"


def test_it_is_scored_without_writing_to_the_package(stand_in: Path, tiny_shards: Path, tmp_path: Path) -> None:
    before = sorted(stand_in.rglob("*"))
    assert main(["evaluate", "pretrained", "--shards", str(tiny_shards), "--split", "test"]) == 0
    assert sorted(stand_in.rglob("*")) == before
    assert len(list((tmp_path / "cache").rglob("evaluation/test.json"))) == 1


def test_a_run_folder_of_that_name_is_read_by_a_path(stand_in: Path, tmp_path: Path, capsys) -> None:
    mine = make_run(tmp_path / "pretrained")
    assert local_run("pretrained") == stand_in
    assert "the run folder here is ./pretrained" in capsys.readouterr().err
    for path in ("./pretrained", "pretrained/", str(mine)):
        assert local_run(path).resolve() == mine
    assert pianogen.open_run(Path("pretrained")).path.resolve() == mine


def test_training_does_not_make_a_folder_of_that_name(
    stand_in: Path, tiny_shards: Path, tmp_path: Path, capsys
) -> None:
    assert main(["train", "--shards", str(tiny_shards), "--out", "pretrained", "--budget.steps", "1"]) == 2
    assert "setting 'out' is 'pretrained', the model that ships with pianogen" in capsys.readouterr().err
    assert not (tmp_path / "pretrained").exists()


def test_an_installation_without_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "nothing")
    with pytest.raises(RunError, match="was installed without its pretrained model"):
        local_run("pretrained")
