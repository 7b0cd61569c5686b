"""MLflow's own pages of the mirrored runs."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from urllib.parse import quote

from pianogen.errors import SettingError
from pianogen.progress import console
from pianogen.track.store import EXPERIMENT, default_store, file_of

# for one user: no dozen of workers for jobs, and no telemetry
_ENVIRONMENT = {
    "MLFLOW_WORKERS": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

GRACE_S = 5.0  # between SIGTERM and SIGKILL


def ui(runs: Path, port: int) -> None:
    """Open the MLflow UI of a folder of runs on 127.0.0.1, until Ctrl-C, SIGTERM or SIGHUP.

    Raises:
        SettingError: There is nothing to show, or the port is taken.
    """
    store = default_store(runs)
    file = file_of(store)
    if file and not file.exists():
        raise SettingError(f"{runs} has no mlflow.db; name the folder that contains the runs: pianogen track ui FOLDER")
    _require_free(port)
    console.print(f"MLflow: http://127.0.0.1:{port}{_page(file)}  (Ctrl-C ends it)", soft_wrap=True)
    artifacts = (runs.resolve() / "mlartifacts").as_uri()
    stores = ["--backend-store-uri", store, "--default-artifact-root", artifacts]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "mlflow", "server", *stores, *address]
    with _ended_by_signals():
        _run_guarded(command)


def _page(file: Path | None) -> str:
    """Path of the page of the runs: MLflow's root page opens its view for chats and agents."""
    if file is None:
        return ""
    query = "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = 'active'"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as database:
            found = database.execute(query, (EXPERIMENT,)).fetchone()
    except sqlite3.Error:  # the tables of another MLflow version: the root page links to the runs
        return ""
    return f"/#/experiments/{found[0]}/runs?workflowType=machine_learning" if found else ""


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise SystemExit, so that `finally` blocks end the server."""
    before = {one: signal.signal(one, _exit) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _exit(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run_guarded(command: list[str]) -> None:
    """Run a server in a session whose leader ends all of it when this process ends, also by SIGKILL."""
    guard = subprocess.Popen(
        [sys.executable, "-m", "pianogen.track.guard", *command],
        env={**_ENVIRONMENT, **os.environ},
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        guard.wait()
    finally:
        assert guard.stdin
        guard.stdin.close()
        try:
            with suppress(subprocess.TimeoutExpired):
                guard.wait(2 * GRACE_S)
        finally:
            with suppress(ProcessLookupError):  # processes that are left if the guard was killed
                os.killpg(guard.pid, signal.SIGKILL)
            guard.wait()


def _require_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError) as error:
        raise SettingError(f"cannot open port {port}: {error}; choose another with --port") from error
