"""What launch/ assumes of submitit beyond its public interface."""

import time
from pathlib import Path

import pytest
from submitit import LocalExecutor, SlurmExecutor
from submitit.core.utils import JobPaths

from launch.submitit_internals import RANK_0_LOGS, WATCHER, batch_file


def test_the_batch_file_is_the_one_that_submitit_submits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlurmExecutor, "affinity", classmethod(lambda cls: 2))
    executor = SlurmExecutor(tmp_path, python="python3 -P")
    executor.update_parameters(nodes=2, time=60)
    submitted = executor._make_submission_file_text(executor._submitit_command_str, "uid")
    assert batch_file("python3 -P", tmp_path, executor.parameters) == submitted


def test_the_pattern_of_logs_finds_those_of_rank_0(tmp_path: Path) -> None:
    for rank in range(2):
        JobPaths(tmp_path, "7", rank).stdout.touch()
    assert list(tmp_path.glob(RANK_0_LOGS)) == [JobPaths(tmp_path, "7", 0).stdout]


def test_the_process_of_a_local_job_is_recognised(tmp_path: Path) -> None:
    executor = LocalExecutor(tmp_path)
    executor.update_parameters(timeout_min=1)
    job = executor.submit(time.sleep, 1)
    end = time.monotonic() + 30  # until then the child may not have called exec
    while WATCHER not in Path(f"/proc/{job.job_id}/cmdline").read_bytes():
        assert time.monotonic() < end, "the command line is not that of submitit's watcher"
        time.sleep(0.01)
    job.result()
