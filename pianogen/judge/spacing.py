"""Which of many are taken, where all are too many."""

import numpy as np


def spread(count: int, num: int) -> list[int]:
    """At most `num` of `count` indices, evenly spaced."""
    return np.linspace(0, count - 1, min(num, count)).round().astype(int).tolist() if count else []
