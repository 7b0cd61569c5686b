"""The experiment `pianogen` of an MLflow store: runs are found there, and made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from pianogen.errors import PianogenError, RunError
from pianogen.track.memory import alone

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "pianogen"
# what MLflow calls runs that train models, beside prompts and traces; its 3.17 UI opens on the latter all the same
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_SQLITE = "sqlite:///"
# MLflow makes the folder of what follows `sqlite:///` without decoding it; of this spelling it makes none
_ESCAPED_SQLITE = "sqlite+pysqlite:///"
_CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a create_run whose answer was lost, sent again, would make two runs
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",  # whatever the mirror itself has not cut is refused, not cut unseen
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing told to anybody
}


class StoreError(RunError):
    """MLflow's store cannot be reached, or refuses what it is given."""


def default_store(shelf: Path) -> str:
    """Name the store of a folder of runs: the one that MLFLOW_TRACKING_URI names, or a file beside them."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _uri_of(shelf.resolve() / "mlflow.db")


def _uri_of(file: Path) -> str:
    """The URI of an sqlite file: as it is where that names the file, else with its path escaped."""
    path = str(file)
    if path.isprintable() and not set(path) & set("%?"):
        return _SQLITE + path
    return _ESCAPED_SQLITE + quote(os.fsencode(path))


def file_of(uri: str) -> Path | None:
    """The file that a store is, unless it is a server."""
    for prefix in (_SQLITE, _ESCAPED_SQLITE):
        if uri.startswith(prefix):
            return Path(unquote(uri.removeprefix(prefix).partition("?")[0], errors="surrogateescape"))
    return None


@contextmanager
def asking(uri: str, folder: Path) -> Iterator[None]:
    """Make whatever a store or its transport raises one line about `folder`.

    Raises:
        StoreError: It raised something; each of them has exceptions of its own, and none may stop training.
    """
    try:
        yield
    except PianogenError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise StoreError(f"{folder} is not mirrored: MLflow at {uri} cannot be reached or refuses: {reason}") from error


class Store:
    """What the mirror asks of MLflow."""

    def __init__(self, uri: str) -> None:
        for name, value in _CLIENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self.uri = uri
        file = file_of(uri)
        # a client of a new sqlite file makes its tables, and two of them at once get in each other's way
        with alone(file.parent) if file else nullcontext():
            self.client = MlflowClient(tracking_uri=uri)
        self._artifacts = (file.resolve().parent / "mlartifacts").as_uri() if file else None
        self._experiment_id = self._find_experiment() or self._create_experiment()

    def _find_experiment(self) -> str | None:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            return None
        for name, value in _KIND.items():
            told = found.tags.get(name, "")
            # a kind that MLflow guessed is replaced, one that somebody chose stays
            if not told or told.endswith("_inferred") or told == "no_inferred_type":
                self.client.set_experiment_tag(found.experiment_id, name, value)
        return found.experiment_id

    def _create_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.create_experiment(EXPERIMENT, self._artifacts, tags=_KIND)
        except MlflowException:  # another run's mirror was quicker
            found = self._find_experiment()
            if found is None:
                raise
            return found

    def find(self, folder_id: str, run_id: str | None) -> "Run | None":
        """Look up the run of a folder, by its name in this store where that is known; a deleted one is none."""
        from mlflow.exceptions import MlflowException

        try:
            known = self.client.get_run(run_id) if run_id else None
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            known = None
        if known and known.info.lifecycle_stage == "active":
            return known
        found = self.client.search_runs([self._experiment_id], f"tags.folder_id = '{folder_id}'", max_results=1)
        return found[0] if found else None

    def create(self, name: str, began_ms: int, tags: dict[str, str]) -> "Run":
        """Make a run."""
        return self.client.create_run(self._experiment_id, start_time=began_ms, run_name=name, tags=tags)
