"""One cluster for all tests here, taken down whatever happens; skipped where it cannot be brought up."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from project import Project
from slurm_cluster import Cluster
from training import Trainings


def _obstacle() -> str | None:
    if sys.platform != "linux" or shutil.which("apt-get") is None:
        return "a cluster is brought up on Debian only"
    return None if os.geteuid() == 0 else "only root can bring a cluster up"


@contextmanager
def _short_folder() -> Iterator[Path]:
    """There are sockets in it, and their paths are short; pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="pianogen-slurm-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """An empty folder for another cluster."""
    with _short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real Slurm with two nodes."""
    if reason := _obstacle():
        pytest.skip(reason)
    with _short_folder() as folder:
        cluster = Cluster(folder)
        try:
            cluster.wait_until_ready()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def project(tmp_path: Path, cluster: Cluster) -> Project:
    """A checkout with a stand-in for the library, and an empty folder to submit from."""
    return Project(tmp_path, cluster)


@pytest.fixture(scope="session")
def trainings(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, tiny_shards: Path) -> Trainings:
    """A folder for runs of the real pianogen."""
    return Trainings(tmp_path_factory.mktemp("trainings"), cluster, tiny_shards)


@pytest.fixture(scope="session")
def quiet(trainings: Trainings) -> str:
    """A job that trained the run `quiet` on two nodes, one rank each, with nothing in its way."""
    job = trainings.begin("quiet")
    assert trainings.wait(job) == "COMPLETED", trainings.log()
    return job
