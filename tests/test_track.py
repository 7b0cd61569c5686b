"""The mirror in MLflow: complete, idempotent, and never in the way of training."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pianogen import track
from pianogen.config import TrainConfig
from pianogen.errors import RunError, SettingError
from pianogen.train import train

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.filterwarnings("ignore"),  # mlflow and sqlalchemy deprecate parts of each other as they load
]
MakeRun = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An sqlite store; making its tables takes seconds, so the tests share one."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture
def finished(tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch, store: str) -> Path:
    """A finished run that nobody has mirrored yet."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("PIANOGEN_TRACK", "off")
    config = tiny_run()
    train(config)
    return Path(config.out)


def mirrored(run: Path, store: str):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    return client, client.get_run(json.loads((run / "mlflow.json").read_text())["run_id"])


def test_every_logged_metric_arrives_once_at_its_step_and_time(finished: Path, store: str) -> None:
    track.sync(finished)
    client, run = mirrored(finished, store)
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    for name in ("train/loss", "validation/nll"):
        told = [(line["step"], round(line["time"] * 1000), line[name]) for line in lines if name in line]
        history = client.get_metric_history(run.info.run_id, name)
        assert sorted((one.step, one.timestamp, one.value) for one in history) == told


def test_syncing_twice_changes_nothing(finished: Path, store: str) -> None:
    track.sync(finished)
    client, run = mirrored(finished, store)
    before = len(client.get_metric_history(run.info.run_id, "train/loss"))
    track.sync(finished)
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == before
    assert mirrored(finished, store)[1].info.run_id == run.info.run_id


def test_a_run_that_the_store_has_lost_is_mirrored_anew(finished: Path, store: str) -> None:
    track.sync(finished)
    client, run = mirrored(finished, store)
    client.delete_run(run.info.run_id)
    track.sync(finished)
    client, again = mirrored(finished, store)
    assert again.info.run_id != run.info.run_id
    assert len(client.get_metric_history(again.info.run_id, "train/loss")) == 6


def test_settings_tags_state_and_final_model_are_there(finished: Path, store: str) -> None:
    track.sync(finished)
    client, run = mirrored(finished, store)
    assert (run.data.params["model.kind"], run.data.tags["model"], run.info.status) == ("attn", "attn", "FINISHED")
    assert {item.path for item in client.list_artifacts(run.info.run_id, "model")} == {
        "model/model.safetensors",
        "model/training.json",
    }


def test_a_resumed_run_is_one_run_in_mlflow_and_repeats_no_step(
    tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    from dataclasses import replace

    from pianogen.config import BudgetConfig

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("PIANOGEN_TRACK", "off")
    config = tiny_run()
    train(replace(config, budget=BudgetConfig(steps=3)))
    run = Path(config.out)
    with (run / "metrics.jsonl").open("a") as file:  # a step that a killed life told, and that the next one repeats
        file.write('{"step": 4, "time": 1.0, "train/loss": 4.0}\n')
    track.sync(run)
    train(config)
    track.sync(run)
    client, there = mirrored(run, store)
    steps = [one.step for one in client.get_metric_history(there.info.run_id, "train/loss")]
    assert sorted(steps) == [1, 2, 3, 4, 5, 6]


def test_training_with_the_mirror_beside_it_arrives_whole(
    tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    config = tiny_run()
    train(config)
    client, run = mirrored(Path(config.out), store)
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 6
    assert run.info.status == "FINISHED"


@pytest.fixture
def hanging_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                held.append(listening.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for connection in held:
        connection.close()
    thread.join()


def test_a_server_that_hangs_changes_nothing_but_a_warning(
    tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch, hanging_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", hanging_server)
    monkeypatch.setattr(track, "_PATIENCE_S", 1.0)
    config = tiny_run()
    train(config)
    assert json.loads((Path(config.out) / "status.json").read_text())["state"] == "finished"
    assert "pianogen track sync" in capsys.readouterr().err


def test_a_server_that_is_down_is_named_by_sync(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(RunError, match=r"MLflow at http://127\.0\.0\.1:9 cannot be reached"):
        track.sync(finished)


def test_the_step_loop_makes_no_mlflow_call(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=2)
    script = (
        "import sys\nfrom pianogen.config import from_dict, TrainConfig\nimport json\n"
        "from pianogen.train import train\n"
        "train(from_dict(TrainConfig, json.loads(sys.argv[1])))\nprint('mlflow' in sys.modules)"
    )
    from pianogen.config import to_dict

    ran = subprocess.run(
        [sys.executable, "-c", script, json.dumps(to_dict(config))],
        env={**os.environ, "PIANOGEN_TRACK": "on", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "False"


def test_the_ui_of_a_folder_without_runs_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(SettingError, match=r"has no mlflow\.db"):
        track.ui(tmp_path, 5000)
