"""What may happen to a file that is computed once and kept: damage, and several processes that write it."""

import multiprocessing
from collections.abc import Callable
from typing import Any


def cut(data: bytes) -> bytes:
    """The first half."""
    return data[: len(data) // 2]


def one_bit(data: bytes) -> bytes:
    """The last bit is another."""
    return data[:-1] + bytes([data[-1] ^ 1])


def in_four_processes(function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function in four forks at once; each has to end well."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=function, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
