"""An ABC file: which lines are music, fields of its header, tempo, and what is refused."""

from fractions import Fraction

import pytest
from abc_notes import QUARTERS, durations, music, rows

from pianogen.errors import SourceError
from pianogen.tokens.scores.abc import parse_abc


def test_text_around_the_tune_is_ignored() -> None:
    tune = "a letter\n\nX:1\nL:1/4\nK:C\nC2E2|]\n\nA face bade egad, a free text that is no tune\n"
    assert rows(tune) == [(0, 2, 60), (2, 2, 64)]


def test_comments_lyrics_and_typeset_text_are_ignored() -> None:
    body = "%%begintext\nABC\n%%endtext\nC4| % D\n% E\nw:face | bad\nW:egad\n+:bad\ns:!f!\nP:A\nr:cab\n"
    body += "%%text DEAF\nD4|\\\n"
    assert rows(QUARTERS + body) == [(0, 4, 60), (4, 4, 62)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_known(line_end: str) -> None:
    assert rows(f"{QUARTERS}C4|\nD4|\n".replace("\n", line_end)) == [(0, 4, 60), (4, 4, 62)]


def test_a_line_that_begins_with_a_repeated_note_is_no_field() -> None:
    assert music("C4|\nD:|\nE::F|") == [(0, 4, 60), (4, 1, 62), (5, 1, 64), (6, 1, 65)]


def test_a_field_goes_on_in_the_next_line() -> None:
    assert rows("X:1\nL:1/4\nK:D\n+:dor\nF|\n") == [(0, 1, 65)]


def test_the_file_header_holds_for_the_tune() -> None:
    assert durations("C", "%abc-2.1\nL:1/2\n\nX:1\nK:C\n") == [2]


@pytest.mark.parametrize(
    ("header", "unit"),
    [("M:4/4", "1/2"), ("M:C|", "1/2"), ("M:3/4", "1/2"), ("M:2/4", "1/4"), ("M:6/8", "1/2"), ("M:none", "1/2"),
     ("M:(2+3)/16", "1/4"), ("", "1/2"), ("M:2/4\nL:1/16", "1/4"), ("L:1", "4")],
)  # fmt: skip
def test_the_unit_follows_the_metre_unless_it_is_given(header: str, unit: str) -> None:
    assert durations("C", f"X:1\n{header}\nK:C\n" if header else "X:1\nK:C\n") == [Fraction(unit)]


@pytest.mark.parametrize(
    ("metre", "signature"),
    [("C", (4, 4)), ("C|", (2, 2)), ("6/8", (6, 8)), ("(2+3)/8", (5, 8)), ("2+3/8", (5, 8)), ("none", None)],
)
def test_the_time_signature_is_the_first_one(metre: str, signature: tuple[int, int] | None) -> None:
    assert parse_abc(f"X:1\nM:{metre}\nK:C\nC|\n").time_signature == signature


@pytest.mark.parametrize(
    ("tempo", "pace"),
    [("1/4=90", 90), ('"Allegro" 1/4=120', 120), ('3/8=60 "slow"', 90), ("100", 100), ("C=120", 60), ("C3=40", 60),
     ("1/4 3/8 = 40", 100), ("1/4=ca. 80", 80), ("1/2=60.5", 121), ('"Andante"', None)],
)  # fmt: skip
def test_tempo_marks_count_quarters(tempo: str, pace: float | None) -> None:
    marks = parse_abc(f"X:1\nL:1/8\nQ:{tempo}\nK:C\nC|\n").tempo_marks
    assert marks == ({} if pace is None else {Fraction(0): pace})


def test_a_tempo_mark_inside_the_tune_stands_at_its_onset() -> None:
    score = parse_abc("X:1\nL:1/4\nQ:1/4=90\nK:C\n[Q:1/4=80]C4|\nQ:1/4=60\n[Q:1/4=50]D4|\n")
    assert score.tempo_marks == {Fraction(0): 80, Fraction(4): 60}


def test_symbols_that_a_tune_defines_are_decorations() -> None:
    assert rows("X:1\nL:1/4\nU:n=!tenuto!\nU: T = !trill!\nK:C\nnC nT D|\n") == [(0, 1, 60), (1, 1, 62)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no tune"),
        ("CDEF|", "holds no tune"),
        ("X:1\nT:title\n\nK:C\nCDEF\n", "holds no tune"),
        ("X:1\nK:C\nC|\n\nX:2\nK:C\nD|\n\nX:3\nT:empty\n", "it holds 2 pieces; give each a file of its own"),
        ("X:1\nCDEF|\nK:C\nC|\n", "line 2 looks like music"),
        ("X:1\nK:Cfoo\nC|\n", "line 2: 'foo' is no mode"),
        ("X:1\nK:CM\nC|\n", "'M' is no mode"),
        ("X:1\nK:H\nC|\n", "K:H names no key"),
        ("X:1\nM:3/5\nK:C\nC|\n", "M:3/5 is no metre"),
        ("X:1\nL:3/8\nK:C\nC|\n", "L:3/8 is no note length"),
        ("X:1\nQ:fast=slow\nK:C\nC|\n", "is no tempo"),
        ("X:1\nm:~n=n{n}n\nK:C\n~C|\n", "macros"),
        ("X:1\nI:abc-include other.abh\nK:C\nC|\n", "includes are not read"),
        (f"{QUARTERS}C4|\n\nD4|\n", "line 7 looks like music behind the blank line"),
        (f"{QUARTERS}V:1\nC4\n\n[V:2]D4\n", "line 8 looks like music behind the blank line"),
        (f"{QUARTERS}C4|D §|\n", "line 5: '§' in column 6"),
        (f'{QUARTERS}"Am C4|\n', "in column 1 has no meaning"),
        (f"{QUARTERS}in the end|\n", "line 5: 'i' in column 1 has no meaning"),
        (f"{QUARTERS}[CE|\n", "chord that is not closed"),
        (f"{QUARTERS}C]|\n", "closes no chord"),
        (f"{QUARTERS}(3CD|E\n", "a tuplet lacks 1 of its notes"),
        (f"{QUARTERS}(12CD|E\n", "is no tuplet"),
        (f"{QUARTERS}(3C(3DEF|\n", "a tuplet stands in a tuplet"),
        (f"{QUARTERS}A2>B|\n", "notes of different lengths"),
        (f"{QUARTERS}>B|\n", "no note before it"),
        (f"{QUARTERS}z-B|\n", "a tie begins at no note"),
        (f"{QUARTERS}C0|\n", "is no length"),
        (f"{QUARTERS}C 2|\n", "stands inside a bar"),
        (f"{QUARTERS}+CE+|\n", "could be music or a decoration"),
        (f"{QUARTERS}^/2C|\n", "has no meaning there"),
        ("X:1\nM:none\nK:C\nZ|\n", "the metre is free"),
        (f"{QUARTERS}c''''''|\n", "beyond all MIDI pitches"),
        (f"{QUARTERS}{'Z9999|' * 20}\n", "more than 100000 bars"),
    ],
)  # fmt: skip
def test_what_has_no_certain_meaning_is_refused(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_abc(text)
