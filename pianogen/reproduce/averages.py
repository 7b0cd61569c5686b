"""The tables of averaging rules and of switches: which of them gives the level of the paper."""

from collections.abc import Sequence

from pianogen.evaluation.report import PAPER_PERCENT
from pianogen.reproduce.rows import ABSENT, CUT, PADDED, RULES, WEIGHTED, Row, markdown, mean_percent, rule

_PAPER_F1 = [paper["test"][2] for paper in PAPER_PERCENT.values()]
_SWITCHES = (
    ("carried, no padding", WEIGHTED),
    ("cut, no padding", rule("", CUT, "weighted")),
    ("cut, padding counted", rule("", PADDED, "weighted")),
    ("carried, padded batches", rule("", ("padded_batches", "with_padding"), "weighted")),
)


def rules_table(rows: Sequence[Row]) -> str:
    """F1 under every rule of averaging."""
    lines = [
        [row.label, *[f"{mean_percent(row, rule)[2]:.1f}" if row.found else ABSENT for rule in RULES], _paper_f1(row)]
        for row in rows
    ]
    return markdown(["F1", *[rule.title for rule in RULES], "paper"], lines)


def _paper_f1(row: Row) -> str:
    paper = row.paper()
    return f"{paper[2]:.1f}" if paper else ABSENT


def switches_table(rows: Sequence[Row]) -> str:
    """Weighted F1 of the same model under each switch, and how much padding would give the paper's figure."""
    headings = ["weighted F1", *[title for title, _ in _SWITCHES], "padding of excerpts", "of batches"]
    headings.append("padding for the paper's F1")
    return markdown(headings, [_switches_line(row) for row in rows])


def _switches_line(row: Row) -> list[str]:
    if not row.found:
        return [row.label, *[ABSENT] * (len(_SWITCHES) + 3)]
    f1 = [mean_percent(row, rule)[2] for _, rule in _SWITCHES]
    excerpts, batches = (
        row.mean(lambda result, section=section: result.content[section]["padding_share"])
        for section in ("paper_code", "padded_batches")
    )
    paper = row.paper()
    needed = f"{100 * padding_needed(f1[0], paper[2]):.0f} %" if paper else ABSENT
    return [row.label, *[f"{value:.1f}" for value in f1], f"{100 * excerpts:.1f} %", f"{100 * batches:.1f} %", needed]


def padding_needed(f1: float, wanted: float) -> float:
    """The share of padding among all positions with which weighted F1, in percent, would be `wanted`.

    A class that is always right and never predicted elsewhere has F1 100: the weighted mean is linear in its share.
    """
    return max(0.0, (wanted - f1) / (100 - f1))


def level_sentence(rows: Sequence[Row]) -> str:
    """Which rules and models reach the paper's level."""
    low, high = min(_PAPER_F1), max(_PAPER_F1)
    reached = [
        f"{row.label}, {rule.title} ({mean_percent(row, rule)[2]:.1f})"
        for rule in RULES
        for row in rows
        if row.found and low <= mean_percent(row, rule)[2] <= high
    ]
    found = "; ".join(reached) or "none of these"
    return f"F1 from {low:.1f} to {high:.1f} %, as in the paper: {found}."
