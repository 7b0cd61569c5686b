"""The spans of an order, row by row."""

from collections.abc import Sequence
from typing import NamedTuple

from pianogen.data.order import Order


class Span(NamedTuple):
    """Inputs `start` up to `stop` of one performance in one epoch."""

    performance: int
    start: int
    stop: int
    epoch: int


def spans_of_rows(order: Order, step: int, rows: Sequence[int]) -> list[list[Span]]:
    """The spans that each of these rows of step `step` reads."""
    spans = order.spans(step, rows)
    found: list[list[Span]] = [[] for _ in rows]
    columns = (spans.rows, spans.performances, spans.starts, spans.stops)
    for row, performance, start, stop in zip(*(column.tolist() for column in columns), strict=True):
        found[row].append(Span(performance, start, stop, spans.epoch))
    return found
