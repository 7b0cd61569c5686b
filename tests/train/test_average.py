"""The average of the weights: what it is, that training does not see it, and that whoever reads a run gets it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from checkpoints import assert_same_tensors, tensors
from hypothesis import given
from hypothesis import strategies as st
from launching import ONE, launch, logged

from pianogen.config import BudgetConfig, OptimConfig, TrainConfig
from pianogen.errors import SettingError
from pianogen.runs import open_run
from pianogen.train import train
from pianogen.train.average import WeightAverage
from pianogen.train.opening import open_training
from pianogen.train.validation import Validation

MakeRun = Callable[..., TrainConfig]
AVERAGED = OptimConfig(warmup_tokens=100, horizon_tokens=10_000, ema=0.8)
STAGE_3 = str(Path(__file__).parents[2] / "configs" / "deepspeed" / "zero3.json")
DECAYS = st.floats(0.01, 0.999)


@given(DECAYS, st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_the_average_is_a_weighted_mean_of_all_weights_so_far(decay: float, weights: list[float]):
    average, share, shares = WeightAverage(decay, {"w": torch.zeros((), dtype=torch.float64)}), 1.0, []
    for step, weight in enumerate(weights):
        average.update({"w": torch.tensor(weight, dtype=torch.float64)}, step)
    for step in reversed(range(len(weights))):
        kept = min(decay, (1 + step) / (10 + step))
        shares.insert(0, share * (1 - kept))
        share *= kept
    assert sum(shares) + share == pytest.approx(1)
    expected = sum(a * b for a, b in zip(shares, weights, strict=True))
    assert float(average.weights["w"]) == pytest.approx(expected, abs=1e-12)


@given(DECAYS, st.integers(30, 60))
def test_the_initial_weights_vanish_whatever_the_decay(decay: float, steps: int):
    average = WeightAverage(decay, {"w": torch.tensor(1.0, dtype=torch.float64)})
    for step in range(steps):
        average.update({"w": torch.tensor(0.0, dtype=torch.float64)}, step)
    assert average.weights["w"] < 1e-7


def test_training_is_the_same_with_and_without_an_average(tiny_run: MakeRun) -> None:
    plain, averaged = tiny_run("plain", optim=replace(AVERAGED, ema=None)), tiny_run("averaged", optim=AVERAGED)
    train(plain)
    train(averaged)
    assert_same_tensors(tensors(averaged.out, "unaveraged"), tensors(plain.out, "model"))
    last, mean = (tensors(config.out, "model")["decoder.weight"] for config in (plain, averaged))
    assert not torch.equal(last, mean)


def test_a_run_with_an_average_resumes_bit_equal(tiny_run: MakeRun) -> None:
    quiet, stopped = (tiny_run(name, optim=AVERAGED) for name in ("quiet", "stopped"))
    train(quiet)
    train(replace(stopped, budget=BudgetConfig(steps=3)))
    train(stopped)
    assert_same_tensors(tensors(stopped.out), tensors(quiet.out))
    assert {name.split("/")[0] for name in tensors(quiet.out)} >= {"model", "unaveraged", "optimizer", "state"}


def test_validation_scores_the_weights_that_a_reader_of_the_run_loads(tiny_run: MakeRun) -> None:
    config = tiny_run(optim=AVERAGED)
    train(config)
    last = logged(config, "validation/nll")[-1]
    loaded, _ = open_run(config.out).load_model("last")
    with ExitStack() as stack:
        run, trainer, _, shards = open_training(config, Accelerator(cpu=True), stack)
        validation = Validation(run, trainer, shards)
        assert validation.measure(loaded)["validation/nll"] == pytest.approx(last, abs=1e-9)
        assert validation.measure(trainer.replicas.whole_model())["validation/nll"] != pytest.approx(last)


def test_zero_3_averages_as_plain_data_parallelism(tiny_run: MakeRun) -> None:
    plain, spread = tiny_run("plain", optim=AVERAGED), tiny_run("spread", optim=AVERAGED, deepspeed=STAGE_3)
    train(plain)
    ran = launch(ONE, spread)
    assert ran.returncode == 0, ran.stderr[-3000:]
    torch.testing.assert_close(tensors(spread.out, "model"), tensors(plain.out, "model"))


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5])
def test_a_decay_that_is_no_share_is_refused(decay: float) -> None:
    with pytest.raises(SettingError, match=r"'optim.ema' is .*above 0 and below 1"):
        OptimConfig(ema=decay)
