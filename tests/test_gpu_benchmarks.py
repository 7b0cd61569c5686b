"""The benchmarks of GPUs: the same code measures a CPU here, at tiny sizes, and without a GPU the command says so."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from forked import run

from benchmarks.speed import gpu_ranks, gpu_step
from benchmarks.speed.measure import as_markdown
from pianogen.tokens.grammar import allowed
from pianogen.tokens.vocab import BOS

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
TINY = gpu_step.Sizes(hidden=8, steps=16, global_batches=(2, 4), precisions=("fp32",), repeats=1, gemm=32)


def fork(command: list[str], *, cwd: Path, env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
    """Like `subprocess.run`, by a fork."""
    return run(command, cwd=cwd, env=env)


def test_each_model_has_a_row_at_each_global_batch() -> None:
    rows = gpu_step.measure_on(CPU, TINY, rounds=3)
    names = [f"{kind}_fp32_batch_{batch}" for batch in (2, 4) for kind in ("attn", "lstm", "rnn")]
    assert [row.name for row in rows] == names
    assert {(row.compared_with, row.bound, row.peak_mb) for row in rows} == {("nn.LSTM in fp32", None, None)}
    assert len(as_markdown(rows).splitlines()) == 2 + len(names)


@pytest.mark.parametrize(("batch", "wanted"), [(64, 3_000.0), (512, 8_000.0)])
def test_the_wanted_speed_is_a_bound_on_an_h100_only(batch: int, wanted: float) -> None:
    row = gpu_step._absolute_row(f"attn_bf16_batch_{batch}", CPU, 1.5 * wanted, 0.0, [1.5 * wanted] * 3)
    assert (row.other, row.ratio_median, row.bound) == (wanted, 1.5, None)


def test_rows_continue_and_performances_end_as_often_as_in_maestro() -> None:
    inputs, targets, states = gpu_step.streamed_tokens(128, 256, CPU)
    assert int((inputs == BOS).sum()) == 2
    assert bool(torch.tensor(allowed("strict"))[states.flatten(), targets.flatten()].all())


def test_the_exchange_of_two_ranks_is_measured_over_gloo_without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(gpu_ranks, "subprocess", SimpleNamespace(run=fork))
    job = gpu_ranks.Job(2, "ddp", global_batch=2, hidden=8, steps=16, precision="fp32", repeats=1, rounds=3)
    (row,) = gpu_ranks.compare([job])
    assert (row.name, row.compared_with) == ("attn_fp32_batch_2_ddp_ranks_2", "ddp, 2 ranks")
    assert (row.ours, row.ratio_median) == (row.other, 1.0)


def test_a_way_that_fails_says_so_and_the_others_have_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        way, measured = json.loads(command[-1])["way"], {"seconds": [1.0, 1.0], "peak_mb": 3.0}
        return subprocess.CompletedProcess(command, way == "zero3", json.dumps(measured), "out of memory")

    monkeypatch.setattr(subprocess, "run", start)
    rows = gpu_ranks.compare([gpu_ranks.Job(1, way, 64) for way in gpu_ranks.WAYS])
    assert [row.name.split("_")[4] for row in rows] == ["ddp", "zero1", "zero2"]
    assert "out of memory" in capsys.readouterr().err


def test_without_a_gpu_the_command_says_so_in_one_line() -> None:
    command = [sys.executable, "-m", "benchmarks", "gpu_step"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ran = fork(command, cwd=ROOT, env=environment)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("no GPU: ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("benchmark", [gpu_step, gpu_ranks])
def test_no_benchmark_of_gpus_measures_a_cpu_by_itself(benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        benchmark.measure()


def test_make_bench_gpu_runs_both() -> None:
    planned = subprocess.run(["make", "--dry-run", "bench-gpu"], cwd=ROOT, capture_output=True, text=True).stdout
    assert "-m benchmarks gpu_step" in planned
    assert "-m benchmarks gpu_ranks" in planned
