"""Ratings and comments as CSV."""

import csv
import io
from collections.abc import Sequence

from pianogen.study.analysis import Collected

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a cell is a formula for spreadsheet programs


def ratings_csv(collected: Collected) -> str:
    """One row per answer; a rater is a number, and nothing else about them is written."""
    design, out = collected.design, {one.rater for one in collected.excluded()}
    rows = []
    for answer in collected.answers:
        keyed = collected.key[answer.clip]
        condition = design.conditions[keyed.condition] if keyed.condition >= 0 else None
        what = (condition.name, condition.kind, condition.model or "", keyed.stimulus) if condition else ("",) * 4
        page = (answer.position, answer.role, answer.clip, *what, answer.value, f"{answer.heard_s:.1f}")
        rows.append((answer.rater, *page, int(answer.rater in out), int(design.simulated)))
    head = ("rater", "position", "role", "clip", "condition", "kind", "model", "stimulus", "value", "heard_s")
    return _csv([(*head, "excluded", "simulated"), *rows])


def comments_csv(collected: Collected) -> str | None:
    """The comments, which may say anything, in a file apart; None if there are none."""
    rows = [(one.rater, one.position, one.clip, one.comment) for one in collected.answers if one.comment]
    return _csv([("rater", "position", "clip", "comment"), *rows]) if rows else None


def _csv(rows: Sequence[Sequence[object]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([[_cell(value) for value in row] for row in rows])
    return file.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
