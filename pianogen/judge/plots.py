"""Plots of the report as SVG, in the colours of the page: dots with intervals, curves, shaded tables."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pianogen.judge.table import shown

_ROW, _LABEL, _WIDTH, _PAD = 18, 128, 330, 10
_CURVE_WIDTH, _CURVE_HEIGHT = 640, 300
_CURVE_LEFT, _CURVE_RIGHT, _CURVE_TOP, _CURVE_BOTTOM = 46, 170, 12, 34
_LABEL_GAP = 15  # least distance of two labels of curves
_MAX_LABEL = 19  # characters
_Scale = Callable[[float], float]
"""From a value to a position."""


@dataclass(frozen=True)
class Dot:
    """One line of a dot plot; a value of None is drawn as a dash."""

    label: str
    colour: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Curve:
    """Values at each position of the x axis, with intervals."""

    label: str
    colour: str
    values: Sequence[float | None]
    low: Sequence[float | None]
    high: Sequence[float | None]
    dashed: bool = False


def short(label: str, length: int = _MAX_LABEL) -> str:
    """A label that fits."""
    return label if len(label) <= length else label[: length - 1] + "…"


def dot_plot(dots: Sequence[Dot]) -> Markup:
    """Values with their intervals, one line each, on a common axis; the first line is the reference."""
    ends = [end for dot in dots for end in (dot.value, dot.low, dot.high) if end is not None]
    low, high = _padded(min(ends, default=0), max(ends, default=1))
    height = _ROW * len(dots) + 22

    def x(value: float) -> float:
        return _LABEL + (_WIDTH - _LABEL - _PAD) * (value - low) / (high - low)

    parts = [Markup('<svg class="plot" viewBox="0 0 {} {}" role="img">').format(_WIDTH, height)]
    bottom = height - 20
    for tick in ticks(low, high):
        line = '<path class="axis" d="M{0:.1f} 2V{1}"/><text class="tick" x="{0:.1f}" y="{2}">{3}</text>'
        parts.append(Markup(line).format(x(tick), bottom, height - 6, shown(tick)))
    if dots and dots[0].low is not None and dots[0].high is not None:
        band = '<rect class="real" x="{:.1f}" y="2" width="{:.1f}" height="{}"/>'
        parts.append(Markup(band).format(x(dots[0].low), max(x(dots[0].high) - x(dots[0].low), 1.5), bottom - 2))
    for row, dot in enumerate(dots):
        parts.append(_dot(dot, _ROW * row + _ROW / 2 + 2, x))
    return Markup("").join([*parts, Markup("</svg>")])


def _dot(dot: Dot, y: float, x: _Scale) -> Markup:
    label = Markup('<text class="label" x="{}" y="{:.1f}">{}<title>{}</title></text>').format(
        _LABEL - 8, y + 4, short(dot.label), dot.label
    )
    if dot.value is None:
        return label + Markup('<text class="none" x="{}" y="{:.1f}">not defined</text>').format(_LABEL + 4, y + 4)
    line = Markup("")
    if dot.low is not None and dot.high is not None:
        line = Markup('<path stroke="{}" class="interval" d="M{:.1f} {y:.1f}H{:.1f}"/>').format(
            dot.colour, x(dot.low), x(dot.high), y=y
        )
    told = f"{dot.label}: {shown(dot.value, 4)} [{shown(dot.low, 4)}, {shown(dot.high, 4)}]"
    circle = '<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}"><title>{}</title></circle>'
    return label + line + Markup(circle).format(x(dot.value), y, dot.colour, told)


def curves(positions: Sequence[str], lines: Sequence[Curve], title: str) -> Markup:
    """Lines over named positions, the y axis logarithmic."""
    ends = [
        end
        for line in lines
        for ends in (line.values, line.low, line.high)
        for end in ends
        if end is not None and end > 0
    ]
    low, high = math.log10(min(ends, default=0.1)), math.log10(max(ends, default=10))
    low, high = math.floor(low * 2) / 2, math.ceil(high * 2) / 2 + (0.5 if high == low else 0)
    inner = _CURVE_WIDTH - _CURVE_LEFT - _CURVE_RIGHT

    def x(index: int) -> float:
        return _CURVE_LEFT + 24 + (inner - 48) * index / max(len(positions) - 1, 1)

    def y(value: float) -> float:
        part = (math.log10(max(value, 10**low)) - low) / (high - low)
        return _CURVE_HEIGHT - _CURVE_BOTTOM - (_CURVE_HEIGHT - _CURVE_TOP - _CURVE_BOTTOM) * part

    head = '<svg class="plot curve" viewBox="0 0 {} {}" role="img" aria-label="{}">'
    parts = [Markup(head).format(_CURVE_WIDTH, _CURVE_HEIGHT, title)]
    for power in range(math.ceil(low), math.floor(high) + 1):
        line = '<path class="axis" d="M{} {y:.1f}H{}"/><text class="tick left" x="{}" y="{ty:.1f}">{}</text>'
        at = y(10.0**power)
        right, text = _CURVE_WIDTH - _CURVE_RIGHT, shown(10.0**power)
        parts.append(Markup(line).format(_CURVE_LEFT, right, _CURVE_LEFT - 6, text, y=at, ty=at + 4))
    for index, name in enumerate(positions):
        word = '<text class="tick" x="{:.1f}" y="{}">{}</text>'
        parts.append(Markup(word).format(x(index), _CURVE_HEIGHT - 10, name))
    parts += [_curve(line, x, y) for line in lines]
    parts += _labels(lines, y)
    return Markup("").join([*parts, Markup("</svg>")])


def _curve(line: Curve, x: Callable[[int], float], y: _Scale) -> Markup:
    points = [(x(i), y(value)) for i, value in enumerate(line.values) if value is not None]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points) if points else ""
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    parts = [Markup('<path class="line" stroke="{}"' + dash + ' d="{}"/>').format(line.colour, path)]
    for index, (value, low, high) in enumerate(zip(line.values, line.low, line.high, strict=True)):
        if value is None:
            continue
        if low is not None and high is not None:
            bar = '<path class="interval" stroke="{}" d="M{x:.1f} {:.1f}V{:.1f}"/>'
            parts.append(Markup(bar).format(line.colour, y(low), y(high), x=x(index)))
        dot = '<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="{}"><title>{}: {}</title></circle>'
        parts.append(Markup(dot).format(x(index), y(value), line.colour, line.label, shown(value)))
    return Markup("").join(parts)


def _labels(lines: Sequence[Curve], y: _Scale) -> list[Markup]:
    """The name of each line at its end, moved apart where they would overlap."""
    last = [next((v for v in reversed(line.values) if v is not None), None) for line in lines]
    shown_lines = [(y(value), line) for value, line in zip(last, lines, strict=True) if value is not None and value > 0]
    placed = sorted(shown_lines, key=lambda one: one[0])
    parts, above = [], -1e9
    for at, line in placed:
        above = max(at, above + _LABEL_GAP)
        word = '<text class="name" x="{}" y="{:.1f}" style="fill:{}">{}</text>'
        parts.append(
            Markup(word).format(_CURVE_WIDTH - _CURVE_RIGHT - 12, above + 4, line.colour, short(line.label, 26))
        )
    return parts


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """A few round numbers from low to high."""
    step = 10 ** math.floor(math.log10((high - low) / most))
    step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.04 * (high - low) or 0.5
    return low - room, high + room
