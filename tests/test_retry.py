"""The retry loop: how often, how long between, and what is not retried."""

import time

import pytest

from pianogen.retry import retry


class _Failing:
    """Fails the first `failures` calls."""

    def __init__(self, failures: int) -> None:
        self.failures, self.calls = failures, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError(f"failure {self.calls}")
        return "done"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, in seconds, which are recorded and not taken."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def test_the_pauses_double(pauses: list[float]) -> None:
    assert retry(_Failing(3), attempts=4, pause_s=0.5, is_temporary=lambda error: True) == "done"
    assert pauses == [0.5, 1.0, 2.0]


def test_the_last_exception_is_raised(pauses: list[float]) -> None:
    with pytest.raises(OSError, match="failure 3"):
        retry(_Failing(9), attempts=3, pause_s=0.5, is_temporary=lambda error: True)
    assert len(pauses) == 2


def test_what_is_not_temporary_is_not_retried(pauses: list[float]) -> None:
    action = _Failing(1)
    with pytest.raises(OSError, match="failure 1"):
        retry(action, attempts=3, pause_s=0.5, is_temporary=lambda error: not isinstance(error, OSError))
    assert (action.calls, pauses) == (1, [])
