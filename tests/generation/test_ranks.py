"""The ranks of a job divide its pieces without a process group, each on a GPU of its own."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import make_run

from pianogen.cli import main
from pianogen.config import GenerateConfig, part_of
from pianogen.distributed.independent import rank_and_count, take_one_gpu
from pianogen.errors import LaunchError
from pianogen.verbs.generate import share_of_rank

TORCH, SRUN = ("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")
pieces = range(1000)


def of_part(part: str | None) -> set[int]:
    first, step = part_of(part)
    return set(pieces[first::step])


@given(st.integers(1, 9), st.integers(1, 9), st.data(), st.sampled_from([TORCH, SRUN]))
def test_the_ranks_of_a_task_make_each_of_its_pieces_once(
    count: int, num_tasks: int, data: st.DataObject, names: tuple[str, str]
) -> None:
    task = data.draw(st.none() | st.integers(0, num_tasks - 1))
    config = GenerateConfig(part=None if task is None else f"{task}/{num_tasks}")
    ranks = [dict(zip(names, map(str, (rank, count)), strict=True)) for rank in range(count)]
    shares = [of_part(share_of_rank(config, environment).part) for environment in ranks]
    assert sum(map(len, shares)) == len(of_part(config.part))
    assert set().union(*shares) == of_part(config.part)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, (0, 1)),  # a command in a batch script, which is one process
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}, (3, 4)),
        ({"RANK": "1", "WORLD_SIZE": "2", "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}, (1, 2)),
        ({"RANK": "0", "WORLD_SIZE": "1", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, (0, 1)),
    ],
)
def test_a_rank_is_what_the_launcher_or_srun_numbered(environment: dict[str, str], expected: tuple[int, int]) -> None:
    assert rank_and_count(environment) == expected


@pytest.mark.parametrize(
    "environment", [{"WORLD_SIZE": "2"}, {"RANK": "2", "WORLD_SIZE": "2"}, {"RANK": "-1", "WORLD_SIZE": "2"}]
)
def test_a_rank_without_a_number_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(LaunchError, match=r"RANK is '.*' and WORLD_SIZE is '2', but they must number the ranks from 0"):
        rank_and_count(environment)


@given(num_gpus=st.integers(1, 8), num_ranks=st.integers(1, 16), first=st.integers(0, 8))
def test_the_ranks_of_a_node_share_its_gpus_evenly(num_gpus: int, num_ranks: int, first: int) -> None:
    visible = [str(first + gpu) for gpu in range(num_gpus)]
    environments = [{"CUDA_VISIBLE_DEVICES": ",".join(visible), "LOCAL_RANK": str(rank)} for rank in range(num_ranks)]
    for environment in environments:
        take_one_gpu(environment)
    ranks_of = [[e["CUDA_VISIBLE_DEVICES"] for e in environments].count(gpu) for gpu in visible]
    assert sum(ranks_of) == num_ranks
    assert max(ranks_of) - min(ranks_of) <= 1


def test_the_ranks_and_one_process_after_them_make_the_bytes_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    words = ["generate", str(make_run(tmp_path / "runs/attn")), "--num", "5", "--tokens", "40", "--out"]
    assert main([*words, str(tmp_path / "alone/pieces")]) == 0
    for rank in range(2):
        with monkeypatch.context() as launched:
            launched.setattr(os, "environ", {**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"})
            assert main([*words, str(tmp_path / "together/pieces")]) == 0
        assert f"(part {rank}/2)" in capsys.readouterr().out
    assert "index.html" not in contents(tmp_path / "together/pieces")
    assert main([*words, str(tmp_path / "together/pieces")]) == 0
    assert contents(tmp_path / "together/pieces") == contents(tmp_path / "alone/pieces")
