"""mlflow.json, whose format is a promise: a folder keeps its run in MLflow across versions of pianogen."""

from pathlib import Path

from pianogen.track.mirror_state import MirrorState, read_state


def test_the_state_of_version_0_1_0_is_read(tmp_path: Path) -> None:
    (tmp_path / "mlflow.json").write_text(
        '{"id": "5eb1", "uri": "sqlite:////runs/mlflow.db", "run_id": "c0de", "artifacts": {"config.yaml": 17}}'
    )
    expected = MirrorState(tmp_path, "5eb1", "sqlite:////runs/mlflow.db", "c0de", {"config.yaml": 17})
    assert read_state(tmp_path) == expected
