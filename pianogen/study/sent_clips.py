"""Since when each rater can have heard the clip of their page, by the server's own clock."""

import math
import time
from collections.abc import Callable


class SentClips:
    """Pages and when their clips were first sent. It is not kept: of a page from before a restart nothing is known."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: dict[int, tuple[int, float | None]] = {}  # rater -> page, and when its clip was sent

    def opened(self, rater: int, position: int) -> None:
        """Note that a rater has come to a page; a second call changes nothing."""
        if self._pages.get(rater, (-1, None))[0] < position:
            self._pages[rater] = (position, None)

    def sent(self, rater: int, position: int) -> None:
        """Note that the clip of a page is about to be sent; the first time counts."""
        self.opened(rater, position)
        if self._pages[rater] == (position, None):
            self._pages[rater] = (position, self._clock())

    def at_most_s(self, rater: int, position: int) -> float:
        """How much of the clip of a page can have been heard, in seconds."""
        page, since = self._pages.get(rater, (-1, None))
        if page != position:
            return math.inf
        return 0.0 if since is None else self._clock() - since
