"""MLflow's own pages of the mirrored runs."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from pianogen.errors import SettingError
from pianogen.progress import console
from pianogen.track.store import default_store, file_of

# one person looks at runs: no dozen of workers for jobs, and nothing told to anybody
_ENVIRONMENT = {
    "MLFLOW_WORKERS": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def ui(runs: Path, port: int) -> None:
    """Open the MLflow UI of a folder of runs on 127.0.0.1, until Ctrl-C.

    Raises:
        SettingError: There is nothing to show, or the port is taken.
    """
    store = default_store(runs)
    file = file_of(store)
    if file and not file.exists():
        raise SettingError(f"{runs} has no mlflow.db; name the folder that holds the runs: pianogen track ui FOLDER")
    _require_free(port)
    console.print(f"MLflow: http://127.0.0.1:{port}  (Ctrl-C ends it)", soft_wrap=True)
    artifacts = (runs.resolve() / "mlartifacts").as_uri()
    stores = ["--backend-store-uri", store, "--default-artifact-root", artifacts]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "mlflow", "server", *stores, *address]
    subprocess.run(command, check=False, env={**_ENVIRONMENT, **os.environ})


def _require_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError) as error:
        raise SettingError(f"port {port} cannot be opened: {error}; give another one with --port") from None
