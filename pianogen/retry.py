"""Retrying an operation that can fail temporarily, with exponential backoff."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def retry(action: Callable[[], T], *, attempts: int, pause_s: float, is_temporary: Callable[[Exception], bool]) -> T:
    """Call `action` up to `attempts` times; before the second attempt it waits `pause_s`, then twice as long each time.

    An exception that is not temporary, or that of the last attempt, is raised as it is.
    """
    for attempt in range(attempts - 1):
        try:
            return action()
        except Exception as error:
            if not is_temporary(error):
                raise
        time.sleep(pause_s * 2**attempt)
    return action()
