"""The experiment `pianogen` of an MLflow store: finding and creating runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from pianogen.errors import PianogenError, RunError
from pianogen.track.mirror_state import locked

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "pianogen"
# MLflow's kind for runs that train models, not prompts and traces; its 3.17 UI opens on the latter nevertheless
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_SQLITE = "sqlite:///"
# MLflow creates the folder of what follows `sqlite:///` without decoding it; for this spelling it creates none
_ESCAPED_SQLITE = "sqlite+pysqlite:///"
_CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a create_run whose answer was lost, sent again, would create two runs
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",  # values that the mirror has not cut are refused, not cut silently
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class StoreError(RunError):
    """MLflow's store cannot be reached, or refuses a request."""


def default_store(directory: Path) -> str:
    """The URI of the store for the runs in a directory: MLFLOW_TRACKING_URI, or an sqlite file in that directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _uri_of(directory.resolve() / "mlflow.db")


def _uri_of(file: Path) -> str:
    """The URI of an sqlite file, with its path escaped if necessary."""
    path = str(file)
    if path.isprintable() and not set(path) & set("%?"):
        return _SQLITE + path
    return _ESCAPED_SQLITE + quote(os.fsencode(path))


def file_of(uri: str) -> Path | None:
    """The file of an sqlite store, or None for a server."""
    for prefix in (_SQLITE, _ESCAPED_SQLITE):
        if uri.startswith(prefix):
            return Path(unquote(uri.removeprefix(prefix).partition("?")[0], errors="surrogateescape"))
    return None


@contextmanager
def explaining(uri: str, folder: Path) -> Iterator[None]:
    """Turn any exception of a store or its transport, each of which has its own, into one line about `folder`.

    Raises:
        StoreError: The store or its transport raised an exception.
    """
    try:
        yield
    except PianogenError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise StoreError(f"{folder} is not mirrored: MLflow at {uri} cannot be reached or refuses: {reason}") from error


class Store:
    """The requests of the mirror to MLflow."""

    def __init__(self, uri: str) -> None:
        for name, value in _CLIENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self.uri = uri
        file = file_of(uri)
        # a client of a new sqlite file creates its tables, which fails if two do so at once
        with locked(file.parent) if file else nullcontext():
            self.client = MlflowClient(tracking_uri=uri)
        self._artifacts = (file.resolve().parent / "mlartifacts").as_uri() if file else None
        self._experiment_id = self._find_experiment() or self._create_experiment()

    def _find_experiment(self) -> str | None:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            return None
        for name, value in _KIND.items():
            kind = found.tags.get(name, "")
            # a kind that MLflow inferred is replaced, one that a user chose is kept
            if not kind or kind.endswith("_inferred") or kind == "no_inferred_type":
                self.client.set_experiment_tag(found.experiment_id, name, value)
        return found.experiment_id

    def _create_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.create_experiment(EXPERIMENT, self._artifacts, tags=_KIND)
        except MlflowException:  # another run's mirror created it first
            found = self._find_experiment()
            if found is None:
                raise
            return found

    def find(self, folder_id: str, run_id: str | None) -> "Run | None":
        """Look up the run of a folder, by its id in this store if that is known; a deleted run does not count."""
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

    def create(self, name: str, started_ms: int, tags: dict[str, str]) -> "Run":
        """Create a run."""
        return self.client.create_run(self._experiment_id, start_time=started_ms, run_name=name, tags=tags)
