"""All three models trained in the GPU's form on a CPU: torch's layers, and Triton's kernels in its interpreter."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from pianogen.config import ModelConfig, TrainConfig
from pianogen.data import Batch
from pianogen.ops.forms import Form, form_in_use, triton_works, using_form
from pianogen.tokens.grammar import states_of
from pianogen.tokens.vocab import ids_of
from pianogen.train.opening import open_training

STEPS = 5
PIECE = ["xxbos", "xxpad", "n60", "d2", "xxsep", "d4", "n64", "d2", "xxeos"]
pytestmark = [
    pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU: Triton's interpreter is not in use"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # NumPy's, of infinities that a kernel leaves to a `where`
]


@pytest.fixture(autouse=True)
def _restores_the_form() -> Iterator[None]:
    with using_form("auto"):
        yield


def one_batch() -> Batch:
    """Two rows of four short pieces each, begun at different places, so that a row resets in most steps of some."""
    ids = ids_of(PIECE)
    words, states = np.tile(ids, 4), np.tile(states_of(ids), 4)
    rows = [slice(shift, shift + 12) for shift in (0, 5)]
    inputs, targets = (np.stack([words[row.start + by : row.stop + by] for row in rows]) for by in (0, 1))
    targets = np.where(np.isin(targets, ids_of(["xxbos", "xxpad"])), -100, targets)
    return Batch(
        inputs.astype(np.int64),
        targets.astype(np.int64),
        np.stack([states[row.start + 1 : row.stop + 1] for row in rows]).astype(np.int64),
    )


def losses(config: TrainConfig, form: Form) -> list[float]:
    """The training loss of each step, in nats per token."""
    with ExitStack() as stack:
        trainer = open_training(config, Accelerator(cpu=True), stack)[1]
        stack.enter_context(using_form(form))
        batch = one_batch()
        return [trainer.step(batch, batch.num_targets)["train/loss"] for _ in range(STEPS)]


@pytest.mark.parametrize(("kind", "layer_norm"), [("rnn", False), ("lstm", False), ("attn", False), ("attn", True)])
def test_five_steps_in_the_gpu_form_have_the_losses_of_the_reference(
    tiny_run: Callable[..., TrainConfig], kind: str, layer_norm: bool
) -> None:
    def run(form: Form) -> list[float]:
        model = ModelConfig(kind=kind, hidden_size=16, layer_norm=layer_norm)
        return losses(tiny_run(form, global_batch=2, model=model), form)

    expected = run("reference")
    assert expected[-1] < expected[0]
    assert run("gpu") == pytest.approx(expected, abs=1e-5)


def test_the_form_in_use_names_what_runs_the_recurrence_and_the_other_operations() -> None:
    with using_form("gpu"):
        assert form_in_use(torch.device("cpu")) == "torch+triton"


def test_without_triton_the_form_says_so_and_one_line_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'triton'")

    triton_works.cache_clear()
    monkeypatch.setattr("pianogen.ops.forms.importlib.import_module", missing)
    try:
        with using_form("gpu"):
            assert form_in_use(torch.device("cpu")) == form_in_use(torch.device("cpu")) == "torch+torch"
    finally:
        triton_works.cache_clear()
    assert capsys.readouterr().err.count("no Triton (No module named 'triton')") == 1
