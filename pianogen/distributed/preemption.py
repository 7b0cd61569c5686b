"""The one owner of signals: a handler sets a flag, and the loop asks for it between steps."""

import signal
from types import FrameType

_STOPPING = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)


class Preemption:
    """Whether somebody asked this process to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before = {number: signal.signal(number, self._note) for number in _STOPPING}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal == number == signal.SIGINT:  # a second Ctrl-C means now
            raise KeyboardInterrupt
        self.signal = number

    @property
    def wanted(self) -> bool:
        """A signal has come."""
        return self.signal is not None

    def release(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_if_interrupted(self) -> None:
        """Let Ctrl-C end the process as it does everywhere, now that everything is saved.

        Raises:
            KeyboardInterrupt: Ctrl-C came.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
