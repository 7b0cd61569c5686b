"""Reading what a store has of a run folder."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def logged(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def log(run: Path, step: int, **values: float) -> None:
    """Append a line, as training does."""
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": step, "time": time.time(), **values}) + "\n")


def change(file: Path, **values: Any) -> None:
    """Give a JSON file other values."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def state_of(run: Path) -> dict[str, Any]:
    """The content of mlflow.json."""
    return json.loads((run / "mlflow.json").read_text())


def there(client: "MlflowClient", run: Path) -> "Run":
    """The run that a folder says it is."""
    return client.get_run(state_of(run)["run_id"])


def all_of(client: "MlflowClient", run: Path) -> "list[Run]":
    """Every run with the folder's id; there should be one."""
    experiments = [one.experiment_id for one in client.search_experiments()]
    return client.search_runs(experiments, f"tags.folder_id = '{state_of(run)['id']}'")


def points(client: "MlflowClient", run: Path, name: str) -> list[tuple[int, int, float]]:
    """A metric's step, time in ms and value, in the order of the times."""
    history = client.get_metric_history(state_of(run)["run_id"], name)
    return [(one.step, one.timestamp, one.value) for one in history]


def steps(client: "MlflowClient", run: Path, name: str) -> list[int]:
    """A metric's steps, in the order of the times."""
    return [step for step, *_ in points(client, run, name)]
