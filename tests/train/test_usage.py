"""Resource usage is logged beside the speed, and never stops training."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pianogen.config import TrainConfig
from pianogen.train import train
from pianogen.train.usage import Usage


def work(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_process_that_works_counts_more_than_one_that_sleeps() -> None:
    usage = Usage()
    time.sleep(0.2)
    asleep = usage.measure()["system/cpu_percent"]
    work(0.1)
    # other processes share the cores, so that work is not 100 percent here
    assert asleep < 15 < usage.measure()["system/cpu_percent"] <= 105


def test_memory_grows_by_a_hundred_megabytes() -> None:
    usage = Usage()
    before = usage.measure()["system/rss_mb"]
    held = bytearray(b"1") * 100_000_000
    assert usage.measure()["system/rss_mb"] - before == pytest.approx(100, abs=20), len(held)


def test_without_a_gpu_its_name_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "system/gpu_percent" not in Usage().measure()


def test_gpu_utilization_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "utilization", lambda: 83)
    assert Usage().measure()["system/gpu_percent"] == 83


def test_a_gpu_without_pynvml_is_queried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse() -> int:
        asked.append(1)
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed or it can't be imported.")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "utilization", refuse)
    usage = Usage()
    assert "system/gpu_percent" not in usage.measure() | usage.measure()
    assert len(asked) == 1


def test_every_step_logs_the_usage(tiny_run: Callable[..., TrainConfig]) -> None:
    config = tiny_run(steps=3)
    train(config)
    lines = [json.loads(line) for line in (Path(config.out) / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "train/loss" in line]
    assert len(steps) == 3
    assert all(line["system/cpu_percent"] > 0 and line["system/rss_mb"] > 50 for line in steps)
