"""A store that the tests of the mirror share, and a run that nobody has mirrored yet."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tiny import WITH_SAMPLES

from pianogen.config import BudgetConfig, DataConfig, ModelConfig, TrainConfig
from pianogen.train import train

if TYPE_CHECKING:
    from mlflow import MlflowClient


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An sqlite store; making its tables takes seconds, so the tests share one."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture
def client(store: str, monkeypatch: pytest.MonkeyPatch) -> "MlflowClient":
    """The store as a reader sees it. Runs are mirrored there, and only when a test says so."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("PIANOGEN_TRACK", "off")
    return MlflowClient(tracking_uri=store)


@pytest.fixture(scope="session")
def trained(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of six steps, validated at the fourth and the last. Tests take copies."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    config = TrainConfig(
        shards=str(tiny_shards),
        out=str(folder),
        global_batch=4,
        model=ModelConfig(kind="attn", hidden_size=8),
        data=DataConfig(excerpt_tokens=16),
        budget=BudgetConfig(steps=6),
        validation=WITH_SAMPLES,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIANOGEN_TRACK", "off")
        train(config)
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A finished run, never mirrored."""
    return Path(shutil.copytree(trained, tmp_path / "run"))
