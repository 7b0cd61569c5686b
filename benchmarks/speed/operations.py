"""One operation, forward and backward: ours beside another way, and beside a limit of the machine."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.speed.measure import Contender, Row, peak_memory_mb, ratios, relative_error, seconds_in_turn, threads

Operation = Callable[..., Tensor]  # parameters -> a scalar to differentiate


@dataclass(frozen=True)
class Case:
    """An operation in two forms, with the same parameters."""

    name: str
    parameters: Sequence[Tensor]
    ours: Operation
    other: Operation
    other_name: str
    limit: Contender
    limit_share: float
    """Work of the operation over that of one call of `limit`."""
    num_tokens: int

    def speed(self, seconds: Sequence[float]) -> float:
        """Thousand tokens per second, median."""
        return 1e-3 * self.num_tokens / statistics.median(seconds)


def gradients(operation: Operation, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The value and the gradients of all parameters."""
    leaves = [parameter.detach().requires_grad_() for parameter in parameters]
    value = operation(*leaves)
    return (value.detach(), *torch.autograd.grad(value, leaves))


def compare(case: Case, rounds: int) -> list[Row]:
    """Rows against the other form and against the limit, on one thread and on two."""
    contenders: dict[str, Contender] = {
        "ours": lambda: gradients(case.ours, case.parameters),
        "other": lambda: gradients(case.other, case.parameters),
        "limit": case.limit,
    }
    error = relative_error(
        gradients(case.ours, case.parameters),
        gradients(case.ours, [parameter.double() for parameter in case.parameters]),
    )
    memory = peak_memory_mb(contenders["ours"])
    rows: list[Row] = []
    for number in (1, 2):
        with threads(number):
            seconds = seconds_in_turn(contenders, rounds)
        ours, other = seconds["ours"], seconds["other"]
        limit = [case.limit_share * value for value in seconds["limit"]]
        for label, times in ((case.other_name, other), ("limit", limit)):
            speeds = case.speed(ours), case.speed(other), case.speed(limit)
            name = case.name if number == 1 else f"{case.name}, {number} threads"
            rows.append(Row(name, "ktok/s", *speeds, label, *ratios(times, ours), peak_mb=memory, error=error))
    return rows
