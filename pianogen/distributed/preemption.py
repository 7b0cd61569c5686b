"""Signal handling: a handler sets a flag, which the training loop reads between steps."""

import signal
from types import FrameType

_STOPPING = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)


class Preemption:
    """Whether a signal asked this process to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before = {number: signal.signal(number, self._record) for number in _STOPPING}

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self.signal == number == signal.SIGINT:  # a second Ctrl-C stops at once
            raise KeyboardInterrupt
        self.signal = number

    @property
    def wanted(self) -> bool:
        """A signal was received."""
        return self.signal is not None

    def release(self) -> None:
        """Restore the previous signal handlers, and tell an outer Preemption of a signal: it may be too late here."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
            outer = getattr(handler, "__self__", None)
            if self.signal == number and isinstance(outer, Preemption):
                outer.signal = number

    def raise_if_interrupted(self) -> None:
        """End the process as Ctrl-C normally does, after the checkpoint is saved.

        Raises:
            KeyboardInterrupt: The signal was SIGINT.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
