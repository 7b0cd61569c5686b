"""Mirroring during training: it is complete, and never delays or stops training."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forked import LIMIT_S, MIRROR, popen
from forked import run as start
from mirrored import all_of, log, steps, there

from pianogen.config import TrainConfig, to_dict
from pianogen.track import following
from pianogen.train import train

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.filterwarnings("ignore"),  # mlflow and sqlalchemy deprecate parts of each other as they load
]
MakeRun = Callable[..., TrainConfig]


def test_a_mirror_during_training_is_complete(
    client: "MlflowClient", tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIANOGEN_TRACK")
    config = tiny_run()
    train(config)
    run = Path(config.out)
    assert steps(client, run, "train/loss") == [1, 2, 3, 4, 5, 6]
    assert there(client, run).info.status == "FINISHED"


def test_a_follower_and_two_syncs_at_once_send_everything_once(client: "MlflowClient", run: Path, store: str) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": store}
    (inward, outward), program = os.pipe(), (sys.executable, "-m")
    follower = popen([*program, "pianogen.track", str(run)], env=environment, stdin=inward, modules=MIRROR)
    os.close(inward)
    sync = [*program, "pianogen", "track", "sync", str(run)]
    syncing = [popen(sync, env=environment, stdout=subprocess.PIPE, modules=MIRROR) for _ in range(2)]
    for step in range(7, 200):
        log(run, step, **{"train/loss": 1 / step})
        time.sleep(0.01)
    os.close(outward)
    follower.wait(LIMIT_S)
    assert [process.communicate(timeout=LIMIT_S) and process.returncode for process in syncing] == [0, 0]
    assert follower.returncode == 0
    assert len(all_of(client, run)) == 1
    assert steps(client, run, "train/loss") == list(range(1, 200))


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
    monkeypatch.setattr(following, "_EXIT_TIMEOUT_S", 1.0)
    config = tiny_run()
    train(config)
    assert json.loads((Path(config.out) / "status.json").read_text())["state"] == "finished"
    assert f"pianogen track sync {config.out}" in " ".join(capsys.readouterr().err.split())


def test_a_mirror_without_a_log_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mlflow.log").mkdir()
    with following.mirroring(tmp_path):
        trained = True
    assert trained
    printed = " ".join(capsys.readouterr().err.split())
    assert "the mirror in MLflow is incomplete ([Errno 21] Is a directory" in printed


def test_the_warning_names_a_folder_in_brackets_as_the_shell_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "[red] a"
    (run / "mlflow.log").mkdir(parents=True)
    with following.mirroring(run):
        pass
    assert f"to complete it: pianogen track sync '{run}'" in capsys.readouterr().err.replace("\n", "")


def test_a_server_that_cannot_be_reached_is_reported_once(run: Path) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    script = "from pianogen.track import following\nfollowing._POLL_S = following._PAUSE_RATIO = 0.01\n"
    script += f"following.follow(following.Path({str(run)!r}))"
    (inward, outward), said = os.pipe(), run / "said"
    with said.open("w") as errors:
        follower = popen([sys.executable, "-c", script], env=environment, stdin=inward, stderr=errors, modules=MIRROR)
    os.close(inward)
    while not (first := said.read_text()).endswith("\n"):
        assert follower.poll() is None
        time.sleep(0.01)
    time.sleep(1)
    os.close(outward)
    assert (follower.wait(LIMIT_S), said.read_text()) == (1, 2 * first)


def test_the_step_loop_makes_no_mlflow_call(tiny_run: MakeRun) -> None:
    script = (
        "import json, sys\nfrom pianogen.config import from_dict, TrainConfig\nfrom pianogen.train import train\n"
        "train(from_dict(TrainConfig, json.loads(sys.argv[1])))\nprint('mlflow' in sys.modules)"
    )
    ran = start(
        [sys.executable, "-c", script, json.dumps(to_dict(tiny_run(steps=2)))],
        env={**os.environ, "PIANOGEN_TRACK": "on", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "False"
