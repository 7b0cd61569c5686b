"""ABC files: which lines are music, header fields, tempo, and invalid text."""

from fractions import Fraction

import pytest
from abc_notes import QUARTERS, durations, music, rows

from pianogen.errors import SourceError
from pianogen.tokens.scores.abc import parse_abc


def test_text_around_the_tune_is_ignored() -> None:
    tune = "a letter\n\nX:1\nL:1/4\nK:C\nC2E2|]\n\nA face bade egad, free text that is not a tune\n"
    assert rows(tune) == [(0, 2, 60), (2, 2, 64)]


def test_comments_lyrics_and_typeset_text_are_ignored() -> None:
    body = "%%begintext\nABC\n%%endtext\nC4| % D\n% E\nw:face | bad\nW:egad\n+:bad\ns:!f!\nP:A\nr:cab\n"
    body += "%%text DEAF\nD4|\\\n"
    assert rows(QUARTERS + body) == [(0, 4, 60), (4, 4, 62)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_line_ending_is_accepted(line_end: str) -> None:
    assert rows(f"{QUARTERS}C4|\nD4|\n".replace("\n", line_end)) == [(0, 4, 60), (4, 4, 62)]


def test_a_line_that_begins_with_a_repeated_note_is_not_a_field() -> None:
    assert music("C4|\nD:|\nE::F|") == [(0, 4, 60), (4, 1, 62), (5, 1, 64), (6, 1, 65)]


def test_a_field_may_continue_on_the_next_line() -> None:
    assert rows("X:1\nL:1/4\nK:D\n+:dor\nF|\n") == [(0, 1, 65)]


def test_the_file_header_applies_to_the_tune() -> None:
    assert durations("C", "%abc-2.1\nL:1/2\n\nX:1\nK:C\n") == [2]


@pytest.mark.parametrize(
    ("header", "unit"),
    [("M:4/4", "1/2"), ("M:C|", "1/2"), ("M:3/4", "1/2"), ("M:2/4", "1/4"), ("M:6/8", "1/2"), ("M:none", "1/2"),
     ("M:(2+3)/16", "1/4"), ("", "1/2"), ("M:2/4\nL:1/16", "1/4"), ("L:1", "4")],
)  # fmt: skip
def test_the_default_unit_depends_on_the_metre(header: str, unit: str) -> None:
    assert durations("C", f"X:1\n{header}\nK:C\n" if header else "X:1\nK:C\n") == [Fraction(unit)]


@pytest.mark.parametrize(
    ("metre", "signature"),
    [("C", (4, 4)), ("C|", (2, 2)), ("6/8", (6, 8)), ("(2+3)/8", (5, 8)), ("2+3/8", (5, 8)), ("none", None)],
)
def test_the_time_signature_is_the_first_one(metre: str, signature: tuple[int, int] | None) -> None:
    assert parse_abc(f"X:1\nM:{metre}\nK:C\nC|\n").time_signature == signature


@pytest.mark.parametrize(
    ("tempo", "quarters_per_minute"),
    [("1/4=90", 90), ('"Allegro" 1/4=120', 120), ('3/8=60 "slow"', 90), ("100", 100), ("C=120", 60), ("C3=40", 60),
     ("1/4 3/8 = 40", 100), ("1/4=ca. 80", 80), ("1/2=60.5", 121), ('"Andante"', None)],
)  # fmt: skip
def test_tempo_marks_are_in_quarters_per_minute(tempo: str, quarters_per_minute: float | None) -> None:
    marks = parse_abc(f"X:1\nL:1/8\nQ:{tempo}\nK:C\nC|\n").tempo_marks
    assert marks == ({} if quarters_per_minute is None else {Fraction(0): quarters_per_minute})


def test_a_tempo_mark_within_the_tune_applies_from_its_onset() -> None:
    score = parse_abc("X:1\nL:1/4\nQ:1/4=90\nK:C\n[Q:1/4=80]C4|\nQ:1/4=60\n[Q:1/4=50]D4|\n")
    assert score.tempo_marks == {Fraction(0): 80, Fraction(4): 60}


def test_symbols_defined_by_the_tune_are_decorations() -> None:
    assert rows("X:1\nL:1/4\nU:n=!tenuto!\nU: T = !trill!\nK:C\nnC nT D|\n") == [(0, 1, 60), (1, 1, 62)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no tune"),
        ("CDEF|", "holds no tune"),
        ("X:1\nT:title\n\nK:C\nCDEF\n", "holds no tune"),
        ("X:1\nK:C\nC|\n\nX:2\nK:C\nD|\n\nX:3\nT:empty\n", "it holds 2 pieces; save each as a separate file"),
        ("X:1\nCDEF|\nK:C\nC|\n", "line 2 looks like music"),
        ("X:1\nK:Cfoo\nC|\n", "line 2: 'foo' is not a mode"),
        ("X:1\nK:CM\nC|\n", "'M' is not a mode"),
        ("X:1\nK:H\nC|\n", "K:H is not a key"),
        ("X:1\nM:3/5\nK:C\nC|\n", "M:3/5 is not a metre"),
        ("X:1\nL:3/8\nK:C\nC|\n", "L:3/8 is not a note length"),
        ("X:1\nQ:fast=slow\nK:C\nC|\n", "is not a tempo"),
        ("X:1\nm:~n=n{n}n\nK:C\n~C|\n", "macros"),
        ("X:1\nI:abc-include other.abh\nK:C\nC|\n", "included files are not read"),
        (f"{QUARTERS}C4|\n\nD4|\n", "line 7 looks like music after the blank line"),
        (f"{QUARTERS}V:1\nC4\n\n[V:2]D4\n", "line 8 looks like music after the blank line"),
        (f"{QUARTERS}C4|D §|\n", "line 5: '§' is not allowed in column 6"),
        (f'{QUARTERS}"Am C4|\n', "is not allowed in column 1"),
        (f"{QUARTERS}in the end|\n", "line 5: 'i' is not allowed in column 1"),
        (f"{QUARTERS}[CE|\n", "chord that is not closed"),
        (f"{QUARTERS}C]|\n", "is not inside a chord"),
        (f"{QUARTERS}(3CD|E\n", "a tuplet is incomplete"),
        (f"{QUARTERS}(12CD|E\n", "is not a tuplet"),
        (f"{QUARTERS}(3C(3DEF|\n", "a tuplet is inside another tuplet"),
        (f"{QUARTERS}A2>B|\n", "notes of different lengths"),
        (f"{QUARTERS}>B|\n", "no note before it"),
        (f"{QUARTERS}z-B|\n", "a tie has no note before it"),
        (f"{QUARTERS}C0|\n", "is not a length"),
        (f"{QUARTERS}C 2|\n", "is inside a bar"),
        (f"{QUARTERS}+CE+|\n", "may be music or an unknown decoration"),
        (f"{QUARTERS}^/2C|\n", "is not allowed in column"),
        ("X:1\nM:none\nK:C\nZ|\n", "the metre is free"),
        (f"{QUARTERS}c''''''|\n", "outside the range of MIDI"),
        (f"{QUARTERS}{'Z9999|' * 20}\n", "more than 100000 bars"),
    ],
)  # fmt: skip
def test_invalid_or_ambiguous_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_abc(text)
