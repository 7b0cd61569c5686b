"""`pianogen track ui` leaves no process behind, however it ends, and says why it cannot begin."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pianogen.errors import SettingError
from pianogen.track import ui

# in place of MLflow: a server that starts a worker, and ignores SIGTERM if `stubborn`
_SERVER = """
import os, signal, subprocess, sys, time
worker = "import signal, time; STUBBORN; print('up', flush=True); time.sleep(600)"
stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if "stubborn" in os.environ["PIDS"] else "pass"
exec(stubborn)
child = subprocess.Popen([sys.executable, "-c", worker.replace("STUBBORN", stubborn)], stdout=subprocess.PIPE)
child.stdout.readline()
with open(os.environ["PIDS"] + ".part", "w") as file:
    file.write(f"{os.getpid()} {child.pid} {os.getppid()}")
os.rename(os.environ["PIDS"] + ".part", os.environ["PIDS"])
time.sleep(600)
"""


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _until(holds: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def _started(tmp_path: Path, pids: Path) -> "tuple[subprocess.Popen[bytes], list[int]]":
    """The ui with another server in place of MLflow's, and the ids of the processes below it."""
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "__init__.py").touch()
    (tmp_path / "mlflow" / "__main__.py").write_text(_SERVER)
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "PIDS": str(pids)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-m", "pianogen", "track", "ui", str(tmp_path), "--port", str(port)]
    ui = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    assert _until(pids.exists, 120)
    return ui, [int(pid) for pid in pids.read_text().split() if int(pid) != ui.pid]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["SIGTERM", "SIGHUP", "SIGINT", "SIGKILL"])
def test_however_the_ui_ends_its_server_and_the_servers_workers_end_too(tmp_path: Path, way: str) -> None:
    _end(tmp_path, tmp_path / "pids", way)


@pytest.mark.timeout(300)
def test_a_server_that_ignores_sigterm_ends_too(tmp_path: Path) -> None:
    _end(tmp_path, tmp_path / "stubborn", "SIGTERM")


def _end(tmp_path: Path, pids: Path, way: str) -> None:
    """End the ui by a signal to it alone; fail if anything it has started is left."""
    ui, below = _started(tmp_path, pids)
    try:
        assert len(below) >= 2
        ui.send_signal(signal.Signals[way])
        ui.wait(60)
        left = [pid for pid in below if not _until(lambda pid=pid: not _is_alive(pid), 20)]
        assert left == []
    finally:
        ui.kill()
        for pid in filter(_is_alive, below):
            os.kill(pid, signal.SIGKILL)


def test_the_ui_of_a_folder_without_runs_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(SettingError, match=r"has no mlflow\.db"):
        ui(tmp_path, 5000)


def test_the_ui_does_not_open_a_port_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"cannot open port {port}: .*; choose another with --port") as caught:
            ui(tmp_path, port)
    assert isinstance(caught.value.__cause__, OSError)
