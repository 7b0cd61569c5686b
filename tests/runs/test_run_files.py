"""Run folders and checkpoints that are damaged, incomplete or cannot be written: one clear error each."""

import json
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from pianogen.config import TrainConfig, to_dict
from pianogen.errors import PianogenError, RunError
from pianogen.runs import Run, open_run
from pianogen.runs.checkpoint import clean_up, list_checkpoints, verify_checkpoint, write_checkpoint

LIMIT_BYTES = 4096


@pytest.fixture
def small_files_only() -> Iterator[None]:
    """Let no file grow above LIMIT_BYTES, which the writer sees as it sees a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files_only")
def test_weights_that_do_not_fit_the_disk_are_an_oserror_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="os error 27"):
        write_checkpoint(tmp_path, 1, {"model": {"weight": torch.zeros(LIMIT_BYTES)}}, {})
    assert list(tmp_path.iterdir()) == []


def test_folders_that_only_look_like_checkpoints_are_left_alone(tmp_path: Path) -> None:
    for name in ("step-00000002", "step-00000010", "step-0x", "step-3 copy", "damaged-step-00000007"):
        (tmp_path / name).mkdir()
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000010", "step-00000002"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run folder with two empty checkpoints, the second the best."""
    for step in (1, 2):
        (tmp_path / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
    (tmp_path / "checkpoints" / "best.json").write_text('{"step": 2}')
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(to_dict(TrainConfig())))
    return open_run(tmp_path)


@pytest.mark.parametrize(("name", "step"), [("best", 2), ("last", 2), ("1", 1), ("00000001", 1)])
def test_a_checkpoint_is_found_by_its_name(run: Run, name: str, step: int) -> None:
    assert run.find_checkpoint(name).name == f"step-{step:08d}"


@pytest.mark.parametrize("name", ["3", "-1", "²", "worst", ""])
def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(run: Run, name: str) -> None:
    with pytest.raises(RunError, match="steps 2, 1"):
        run.find_checkpoint(name)


def test_a_best_checkpoint_that_is_gone_is_not_offered_again(run: Run) -> None:
    (run.checkpoints / "step-00000002").rmdir()
    with pytest.raises(RunError, match=r"no checkpoint 'best' \(step 2\); .* the steps 1"):
        run.find_checkpoint("best")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"step": null}', "\x00"])
def test_a_damaged_best_json_names_itself_and_the_way_out(run: Run, content: str) -> None:
    (run.checkpoints / "best.json").write_text(content)
    with pytest.raises(RunError, match=r"best\.json cannot be read.*use --checkpoint last"):
        run.find_checkpoint("best")
    assert run.find_checkpoint("last").name == "step-00000002"


@pytest.mark.parametrize("content", [None, "", "[]", "{}", json.dumps({"shards": {"folder": "x"}})])
def test_a_run_without_a_whole_environment_json_is_refused(run: Run, content: str | None) -> None:
    if content is not None:
        (run.path / "environment.json").write_text(content)
    with pytest.raises(RunError, match=r"environment\.json cannot be read"):
        _ = run.tokenizer


@pytest.mark.parametrize("content", [b"", b"- a", b"a: [", b"\xff\xfe", b"model: 3", b"model: {hidden_size: big}"])
def test_a_damaged_config_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(PianogenError):
        open_run(tmp_path)


def test_rewriting_a_checkpoint_survives_a_kill_at_either_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, left = Path.rename, []

    def killed(path: Path, target: Path) -> Path:
        if not left.pop():
            raise KeyboardInterrupt
        return rename(path, target)

    write_checkpoint(tmp_path, 1, {"model": {"weight": torch.zeros(3)}}, {"attempt": 1})
    for done in (0, 1):
        left[:] = [False, *[True] * done]
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", killed)
            with pytest.raises(KeyboardInterrupt):
                write_checkpoint(tmp_path, 1, {"model": {"weight": torch.ones(3)}}, {"attempt": 2})
        clean_up(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
        assert verify_checkpoint(tmp_path / "step-00000001")["attempt"] == 1
    write_checkpoint(tmp_path, 1, {"model": {"weight": torch.ones(3)}}, {"attempt": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert verify_checkpoint(tmp_path / "step-00000001")["attempt"] == 2
