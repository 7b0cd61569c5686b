"""The store of a folder of runs: whatever its path holds, its experiment's kind, and values that are too long."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from mirrored import there

from pianogen import track
from pianogen.errors import RunError
from pianogen.track.store import default_store, file_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.filterwarnings("ignore"),  # mlflow and sqlalchemy deprecate parts of each other as they load
]
ODD = ("a b", "a%20b", "a?b", "a#b", "50%", "%", "a;b", "a&b=c", "a\\b", "a:b@c", "ünï 音", "[red]", "a\nb")


@pytest.fixture
def unnamed_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are mirrored beside themselves."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.usefixtures("unnamed_store")
@pytest.mark.parametrize("name", ODD)
def test_the_store_is_in_its_folder_whatever_the_name_of_the_folder(tmp_path: Path, name: str) -> None:
    from sqlalchemy.engine import make_url

    uri = default_store(tmp_path / name)
    assert make_url(uri).database == str(tmp_path / name / "mlflow.db")
    assert file_of(uri) == tmp_path / name / "mlflow.db"


@pytest.mark.usefixtures("unnamed_store")
def test_a_run_in_an_oddly_named_folder_is_mirrored_there_and_nowhere_else(trained: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    directory = tmp_path / "a%20b?c#d 50% ünï"
    run = Path(shutil.copytree(trained, directory / "run#1?%41"))
    track.sync(run)
    client = MlflowClient(tracking_uri=default_store(directory))
    found = there(client, run).info
    assert [path.name for path in tmp_path.iterdir()] == [directory.name]
    assert (found.run_name, (directory / "mlflow.db").exists()) == ("run#1?%41", True)
    fetched = client.download_artifacts(found.run_id, "config.yaml")
    assert Path(fetched).read_bytes() == (run / "config.yaml").read_bytes()


@pytest.mark.usefixtures("unnamed_store")
def test_a_path_that_is_not_utf_8_is_refused_at_once(tmp_path: Path) -> None:
    run = tmp_path / os.fsdecode(b"a\xff")
    run.mkdir()
    (run / "config.yaml").write_text("model: {kind: rnn}\n")
    with pytest.raises(RunError, match=r"a\\xff is not mirrored: its path is not UTF-8.*; rename it$"):
        track.sync(run)
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize("before", [None, "genai_development_inferred", "no_inferred_type"])
def test_the_experiment_is_one_of_model_development_whoever_made_it(
    client: "MlflowClient", run: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    name = f"made before: {before}"
    monkeypatch.setattr("pianogen.track.store.EXPERIMENT", name)
    if before:
        client.create_experiment(name, f"{run.as_uri()}-artifacts", tags={"mlflow.experimentKind": before})
    track.sync(run)
    assert _kind(client, name) == "custom_model_development"


def test_an_experiment_that_has_no_kind_yet_gets_one(
    client: "MlflowClient", run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pianogen.track.store.EXPERIMENT", "untagged")
    client.create_experiment("untagged", f"{run.as_uri()}-artifacts")
    track.sync(run)
    assert _kind(client, "untagged") == "custom_model_development"


def test_a_kind_that_a_user_chose_is_kept(client: "MlflowClient", run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pianogen.track.store.EXPERIMENT", "chosen")
    client.create_experiment("chosen", f"{run.as_uri()}-artifacts", tags={"mlflow.experimentKind": "regression"})
    track.sync(run)
    assert _kind(client, "chosen") == "regression"


def _kind(client: "MlflowClient", name: str) -> str | None:
    experiment = client.get_experiment_by_name(name)
    assert experiment
    return experiment.tags.get("mlflow.experimentKind")


def test_a_setting_that_is_too_long_is_cut_visibly_and_warned_of_once(
    client: "MlflowClient", run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**settings, "shards": "s" * 6001, "out": "o" * 6000}))
    track.sync(run)
    printed = capsys.readouterr().err
    track.sync(run)
    shown = there(client, run).data.params
    mark = " [cut: 6001 characters, whole in the artifact config.yaml]"
    assert (len(shown["shards"]), shown["shards"].strip("s")) == (6000, mark)
    assert shown["out"] == "o" * 6000
    assert "MLflow takes 6000 of the 6001 characters of shards" in printed
    assert printed.count("warning:") == 1
    assert capsys.readouterr().err == ""


def test_a_tag_that_is_too_long_is_cut_visibly(client: "MlflowClient", run: Path) -> None:
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["model"]["kind"] = "k" * 8001
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    track.sync(run)
    shown = there(client, run).data.tags["model"]
    assert (len(shown), shown.lstrip("k")) == (8000, " [cut: 8001 characters, whole in the artifact environment.json]")
