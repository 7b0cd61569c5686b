"""A law of the GPU's form that needs no GPU: a training step launches as many operations for any number of time steps.

Counted on a CPU, with two stand-ins that compute nothing: torch's layer, whose CPU form is a loop over time, and the
interpreter of Triton. Each counts as one operation, as on a GPU. Views, allocations and what the host reads or does
with numbers of its own launch nothing, and are not counted.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from pianogen.config import ModelConfig, TrainConfig
from pianogen.data import Batch
from pianogen.ops.forms import triton_works, using_form
from pianogen.ops.recurrence import gpu
from pianogen.tokens import grammar
from pianogen.tokens.vocab import BOS, ids_of
from pianogen.train.opening import open_training
from pianogen.train.trainer import Trainer

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="Triton's interpreter is replaced, which runs on CPUs"
)
LAUNCHES_NOTHING = {"empty", "empty_like", "new_empty", "detach", "_unsafe_view", "lift_fresh", "promote_types"}
OF_THE_HOST = {"_local_scalar_dense", "_record_function_enter_new", "_record_function_exit"}
RECURRENCE, TRITON = "recurrence", "Triton's kernel"
ROWS = 4
MakeRun = Callable[..., TrainConfig]


class Operations(TorchDispatchMode):
    """Counts operations by name, on this and on autograd's thread."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        self.names[name] += not (func.is_view or name in LAUNCHES_NOTHING | OF_THE_HOST)
        return func(*args, **(kwargs or {}))


COUNTED: list[Operations] = []


class _Layer(torch.autograd.Function):
    """Zeros of the right shapes, each way one operation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        COUNTED[-1].names[RECURRENCE] += 1
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, *others)
        with _disable_current_modes():
            return (x.new_zeros(*x.shape[:-1], others[-1].shape[-1]), *(torch.zeros_like(h) for h in others[2:]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        COUNTED[-1].names[RECURRENCE] += 1
        with _disable_current_modes():
            return tuple(torch.zeros_like(tensor) for tensor in ctx.saved_tensors)


def stand_in(x: Tensor, batch_sizes: Tensor | None, weights: list[Tensor], state: tuple[Tensor, ...]) -> Any:
    hidden, *after = _Layer.apply(x, *weights[:2], *state)  # pyright: ignore[reportGeneralTypeIssues]
    return hidden, tuple(after)


@pytest.fixture(autouse=True)
def _nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    assert triton_works()
    from triton.runtime.interpreter import GridExecutor

    def launch(*_: Any, **arguments: Any) -> None:
        COUNTED[-1].names[TRITON] += 1
        with _disable_current_modes():
            for value in arguments.values():  # a gradient that is not finite would skip the optimizer's step
                if isinstance(value, Tensor) and value.is_floating_point():
                    value.data.zero_()

    monkeypatch.setattr(gpu, "call", stand_in)
    monkeypatch.setattr(GridExecutor, "__call__", launch)
    with using_form("auto"):
        yield


def batch_of(time: int, cuts: int) -> Batch:
    """Notes without end, of which single rows begin a new piece at `cuts` different places."""
    inputs = np.full((ROWS, time), ids_of(["n60"])[0], np.int64)
    for cut in range(cuts):
        inputs[cut % ROWS, 1 + cut] = BOS
    targets = np.full_like(inputs, ids_of(["d2"])[0])
    return Batch(inputs, targets, np.full_like(inputs, grammar.states_of(ids_of(["xxbos", "xxpad", "n60", "d2"]))[-1]))


def operations_of_a_step(trainer: Trainer, batch: Batch) -> tuple[int, int]:
    """Calls of the recurrence, and all else."""
    COUNTED.append(Operations())
    with COUNTED[-1]:
        trainer.step(batch, batch.num_targets)
    names = COUNTED[-1].names
    assert names["_foreach_addcdiv_"], "Adam took a step"
    return names[RECURRENCE], sum(names.values()) - names[RECURRENCE]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "attn"])
def test_a_step_takes_as_many_operations_for_any_number_of_time_steps(tiny_run: MakeRun, kind: str, precision: Any):
    at_most = 93 if (kind, precision) == ("attn", "bf16") else 80  # a fourth of them convert between types
    with ExitStack() as stack:
        config = tiny_run(model=ModelConfig(kind=kind, hidden_size=8), precision=precision)
        trainer = open_training(config, Accelerator(cpu=True), stack)[1]
        for group in trainer.replicas._optimizers[0].param_groups:  # pyright: ignore[reportAttributeAccessIssue]
            group["foreach"] = True  # torch's choice on a GPU: kernels for lists of tensors
        stack.enter_context(using_form("gpu"))
        operations_of_a_step(trainer, batch_of(16, 0))  # the first step makes Adam's moments
        for cuts in (0, 1, 4):
            calls, others = operations_of_a_step(trainer, batch_of(16, cuts))
            print(f"{kind}, {precision}, {cuts} cuts: {calls} calls of the recurrence, {others} other operations")
            assert (calls, others) == operations_of_a_step(trainer, batch_of(40, cuts))
            assert calls == 2 * (cuts + 1)
            assert others <= at_most + 6 * cuts
        calls, others = operations_of_a_step(trainer, batch_of(40, gpu.MAX_CUTS + 1))
        assert (calls, others) == operations_of_a_step(trainer, batch_of(60, gpu.MAX_CUTS + 5)), "pieces of one call"
        assert calls == 2
        assert others <= at_most + 6 * gpu.MAX_CUTS
