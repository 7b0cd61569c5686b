"""Kern files are read with exact times, or refused with the bar."""

import contextlib
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.config import TokenizerConfig
from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.codec import tokenize
from pianogen.tokens.scores.kern import parse_kern
from pianogen.tokens.scores.written import WrittenScore, sounding_notes
from pianogen.tokens.vocab import words_of

Row = tuple[Fraction | float, Fraction | float, int]

SPLIT_TWICE = "\n".join(
    (
        "**kern\t**kern\n*M4/4\t*M4/4\n=1\t=1\n*\t*^\n*\t*\t*^\n1C\t2g\t2cc\t4ee\n.\t.\t.\t4ff\n.\t2a\t2dd\t2gg",
        "*\t*v\t*v\t*v\n=2\t=2\n1D\t1b\n*-\t*-\n",
    )
)
RATIONAL = "**kern\t**kern\n*M4/4\t*M4/4\n=1\t=1\n1C\t3%2c\n.\t3g\n=2\t=2\n1D\t1d\n*-\t*-\n"


def kern(*lines: str) -> str:
    """A file of **kern spines; the cells of a line are separated by two spaces."""
    spines = len(lines[0].split("  "))
    body = "\n".join(line.replace("  ", "\t") for line in lines)
    return "\t".join(["**kern"] * spines) + f"\n{body}\n" + "\t".join(["*-"] * spines) + "\n"


def rows(text: str) -> list[Row]:
    """Onset, end and pitch of the sounding notes, in quarters."""
    raw = sounding_notes(parse_kern(text))
    quarter = raw.ticks_per_quarter
    columns = zip(raw.onset.tolist(), raw.duration.tolist(), raw.pitch.tolist(), strict=True)
    return sorted((Fraction(on, quarter), Fraction(on + length, quarter), pitch) for on, length, pitch in columns)


def written(score: WrittenScore) -> list[Row]:
    """Onset, end and pitch of all notes, without joining ties."""
    return sorted((note.onset, note.end, note.pitch) for note in score.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            SPLIT_TWICE,
            "xxbos xxpad n76 d4 n72 d8 n67 d8 n48 d16 xxsep d4 n77 d4 xxsep d4 n79 d8 n74 d8 n69 d8 xxsep d8 "
            "n71 d16 n50 d16 xxeos",
        ),
        (RATIONAL, "xxbos xxpad n60 d11 n48 d16 xxsep d11 n67 d5 xxsep d5 n62 d16 n50 d16 xxeos"),
    ],
)
def test_a_file_has_the_expected_words(text: str, words: str) -> None:
    ids, _ = tokenize(sounding_notes(parse_kern(text)), TokenizerConfig())
    assert " ".join(words_of(ids)) == words


@pytest.mark.parametrize(
    ("duration", "quarters"),
    [
        ("4", 1), ("4.", Fraction(3, 2)), ("4..", Fraction(7, 4)), ("12", Fraction(1, 3)), ("0", 8), ("00", 16),
        ("000", 32), ("0.", 12), ("3%2", Fraction(8, 3)), ("3%2.", 4), ("1%9", 36), ("20.", Fraction(3, 10)),
    ],
)  # fmt: skip
def test_a_duration_is_a_fraction_of_a_whole_note(duration: str, quarters: float) -> None:
    assert rows(kern(f"{duration}c")) == [(0, quarters, 60)]


@pytest.mark.parametrize(
    ("pitch", "number"),
    [("c", 60), ("cc", 72), ("C", 48), ("CC", 36), ("b", 71), ("B", 59), ("f#", 66), ("e-", 63), ("g##", 69),
     ("a--", 67), ("bn", 71), ("BBB-", 34), ("cccc", 96)],
)  # fmt: skip
def test_each_further_letter_is_an_octave(pitch: str, number: int) -> None:
    assert rows(kern(f"4{pitch}")) == [(0, 1, number)]


@pytest.mark.parametrize(
    "token",
    ["(4cL", "4c'^~/J)", "4cTTt", "4c;", "{4c}", "4cX", "4cSWMmO$w", "4c@16@", "4cyy", "4c:", "c4", "4cLL5", "&(4c&)"],
)
def test_marks_and_ornaments_do_not_change_a_note(token: str) -> None:
    assert rows(kern(token)) == [(0, 1, 60)]


@pytest.mark.parametrize("rest", ["4r", "4ryy", "4rgg", "4.r 4r", "4yy", "4Rc", "4r;"])
def test_rests_and_unpitched_notes_take_time_but_are_silent(rest: str) -> None:
    lasts = Fraction(3, 2) if "." in rest else 1
    assert rows(kern(rest, "4d")) == [(lasts, lasts + 1, 62)]


def test_a_chord_takes_its_duration_from_its_first_note() -> None:
    assert rows(kern("2c e  4C", ".  4D")) == [(0, 1, 48), (0, 2, 60), (0, 2, 64), (1, 2, 50)]


def test_a_chord_note_may_have_a_different_duration() -> None:
    assert rows(kern("8c 4e", "8d")) == [(0, 0.5, 60), (0, 1, 64), (0.5, 1, 62)]


@pytest.mark.parametrize("grace", ["8qd", "dq", "8qqd", "16qd 16qg", "qd g", "16Qd"])
def test_grace_notes_are_counted_and_take_no_time(grace: str) -> None:
    score = parse_kern(kern("4c  4C", f"{grace}  .", "4e  4E"))
    counts = (score.grace_notes, written(score))
    assert counts == (len(grace.split()), [(0, 1, 48), (0, 1, 60), (1, 2, 52), (1, 2, 64)])


def test_a_grace_note_does_not_fill_the_time_of_its_spine() -> None:
    assert rows(kern("2c  4C", "8qd  4D", "4e  4E")) == [(0, 1, 48), (0, 2, 60), (1, 2, 50), (2, 3, 52), (2, 3, 64)]
    with pytest.raises(InconsistentScoreError, match="a voice has no note or rest at quarter 0"):
        parse_kern(kern("8qd  4C", "4c  ."))


def test_ties_are_joined_across_bar_lines() -> None:
    assert rows(kern("[4c", "=2", "4c_", "=3", "2c]")) == [(0, 4, 60)]


def test_a_single_tied_note_of_a_chord_is_joined() -> None:
    assert rows(kern("[4c 4e", "4c] 4e")) == [(0, 1, 64), (0, 2, 60), (1, 2, 64)]


def test_a_tie_may_leave_a_split_spine() -> None:
    text = kern("*^", "4c  [4e", "*v  *v", "4e]").replace("**kern\t**kern", "**kern").replace("*-\t*-", "*-")
    assert rows(text) == [(0, 1, 60), (0, 2, 64)]


def test_a_tie_across_staves_of_one_part_is_joined() -> None:
    assert rows(kern("*part1  *part1", "[4c  4r", "4r  4c]")) == [(0, 2, 60)]


def test_a_tie_never_joins_another_part() -> None:
    assert rows(kern("*part2  *part1", "[4c  4r", "4r  4c]")) == [(0, 1, 60), (1, 2, 60)]


def test_a_tie_prefers_its_own_spine() -> None:
    assert rows(kern("[4c  [4c", "2c]  4c]", ".  4r")) == [(0, 2, 60), (0, 3, 60)]


@pytest.mark.parametrize(("first", "second"), [("[4c", "4c"), ("4c", "4c]"), ("[4c", "4d]")])
def test_a_tie_needs_both_ends(first: str, second: str) -> None:
    assert len(rows(kern(first, second))) == 2


@pytest.mark.parametrize("name", ["*ITrd1c2", "*Trd1c2", "*8va", "*k[b-]", "*rscale:2", "*tuplet", "*tremolo", "*>A"])
def test_an_interpretation_of_layout_or_form_changes_no_note(name: str) -> None:
    assert rows(kern(name, "4c", "4d")) == [(0, 1, 60), (1, 2, 62)]


def test_percussion_is_left_out() -> None:
    assert rows(kern("*clefX  *clefG2", "4e  4c", "*clefG2  *", "4e  4d")) == [(0, 1, 60), (1, 2, 62), (1, 2, 64)]


def test_other_spines_are_skipped() -> None:
    text = "**dynam\t**kern\t**text\t**recip\nff\t4c\t4e\t4\n=\t=\t=\t=\np\t.\tla\t4\n.\t4d\t.\t.\n*-\t*-\t*-\t*-\n"
    assert rows(text) == [(0, 1, 60), (1, 2, 62)]


def test_comments_and_empty_lines_are_skipped() -> None:
    text = "!!!COM: x\n\n**kern\t**kern\n!\t!LO:N:vis=2\n!! 4g\n4c\t4e\n\n*-\t*-\n!!!ENC: y\n"
    assert rows(text) == [(0, 1, 60), (0, 1, 64)]


def test_a_separator_inside_lyrics_does_not_end_the_line() -> None:
    assert rows("**kern\t**text\r\n4c\tla\x85\u2028\x0b\r\n*-\t*-\r\n") == [(0, 1, 60)]


def test_the_first_meter_and_all_tempo_marks_are_kept() -> None:
    score = parse_kern(
        kern("*M3/4  *M3/4", "*MM90  *MM80", "*MM[Largo]  *", "4c  4C", "*  *MM60.5", "*M2/4  *", "4c  2C", "4d  .")
    )
    assert (score.time_signature, score.tempo_marks) == ((3, 4), {0: 90.0, 1: 60.5})


@pytest.mark.parametrize(("meter", "expected"), [("*M3/0", (6, 1)), ("*M0/4", None), ("*MX", None), ("*met(c)", None)])
def test_unusual_meters(meter: str, expected: tuple[int, int] | None) -> None:
    assert parse_kern(kern(meter, "4c")).time_signature == expected


def test_two_spines_split_and_join_on_one_line() -> None:
    text = "**kern\t**kern\n*^\t*^\n4c\t4e\t4C\t4E\n*v\t*v\t*v\t*v\n4d\t4D\n*-\t*-\n"
    assert rows(text) == [(0, 1, 48), (0, 1, 52), (0, 1, 60), (0, 1, 64), (1, 2, 50), (1, 2, 62)]


def test_two_columns_join() -> None:
    assert rows("**kern\t**kern\n4c\t4e\n*v\t*v\n4d\n*-\n") == [(0, 1, 60), (0, 1, 64), (1, 2, 62)]


def test_spines_are_exchanged() -> None:
    text = "**kern\t**dynam\t**kern\n2c\tp\t4C\n*x\t*\t*x\n4D\tf\t.\n*-\t*-\t*-\n"
    assert rows(text) == [(0, 1, 48), (0, 2, 60), (1, 2, 50)]


def test_a_spine_starts_and_another_ends_within_the_file() -> None:
    text = "**kern\n4c\n*+\n*\t**kern\n4d\t4D\n*\t*-\n4e\n*-\n"
    assert rows(text) == [(0, 1, 60), (1, 2, 50), (1, 2, 62), (2, 3, 64)]


def test_a_spine_added_beside_a_text_spine_starts_at_the_current_time() -> None:
    text = "**kern\t**text\n4c\tla\n*\t*+\n*\t*\t**kern\n4d\t.\t4D\n*-\t*-\t*-\n"
    assert rows(text) == [(0, 1, 60), (1, 2, 50), (1, 2, 62)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("=7  =7", "4c  2C", "4d  4D"), "bar 7, line 4: its notes must start together"),
        (("=7  =7", "4c  2C", "=8  =8"), "bar 7, line 4: one voice ends at quarter 1 and another at 2"),
        (("=7a  =7a", "4c  4C", "4d  .", "4e  4E"), "bar 7a, line 4: a voice has no note or rest at quarter 1"),
        (("4c  2C",), "before the first bar line, line 3: one voice ends"),
    ],
)
def test_voices_that_contradict_each_other_are_refused_with_their_bar(lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(InconsistentScoreError, match=f"^{message}"):
        parse_kern(kern(*lines))


def test_voices_that_join_at_different_times_are_refused() -> None:
    with pytest.raises(InconsistentScoreError, match=r"line 4: joined voices \(\*v\) end at quarters 1 and 2"):
        parse_kern("**kern\n*^\n4c\t2e\n*v\t*v\n*-\n")


@pytest.mark.parametrize(("token", "quarters"), [("4)", 1), ("4.", Fraction(3, 2)), ("4?", 1), ("4 4", 1)])
def test_a_duration_without_a_pitch_is_a_rest(token: str, quarters: Fraction) -> None:
    assert rows(kern("=1", token, "4c")) == [(quarters, quarters + 1, 60)]


@pytest.mark.parametrize("token", ["4#G", "4G^#", "4G#", "4G#X"])
def test_an_accidental_counts_at_any_position(token: str) -> None:
    assert rows(kern("=1", token)) == [(0, 1, 56)]


def test_a_misplaced_dot_in_a_chord_is_refused() -> None:
    with pytest.raises(SourceError, match="dot that does not follow its duration"):
        parse_kern(kern("=1", "4ee 4a' 4e'."))


def test_a_dot_after_the_pitch_lengthens_the_note() -> None:
    assert rows(kern("=1", "4e'.", "8c")) == [(0, Fraction(3, 2), 64), (Fraction(3, 2), 2, 60)]


@pytest.mark.parametrize(
    "token",
    ["c", "r", "/", "16dfd#X", "8bbnb", "4ryy4G-", "0%0c", "3%0c", "4c 8qd", "4Cc",
     "4" + "c" * 12, "1234567c", "9" * 5000 + "c", "4" + "." * 9 + "c", ". 4c", "4c-" + "-" * 99],
)  # fmt: skip
def test_a_malformed_token_is_refused(token: str) -> None:
    with pytest.raises(SourceError, match="line 3: "):
        parse_kern(kern("=1", token))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not Humdrum"),
        ("hello\n", "not Humdrum"),
        ("\x00\x01PK\n\n", "not Humdrum"),
        ("**text\nla\n*-\n", "no \\*\\*kern"),
        ("**kern\n4c\n", "truncated"),
        ("**kern\n4c\n*-\n4d\n", "line 4: the file continues after"),
        ("**kern\n4c\n*+\n4d\t4e\n*-\t*-\n", "line 4: an added spine"),
        ("**kern\n4c\t4d\n*-\n", "line 2: the line has 2 cells for 1 spines"),
        ("**kern\t**kern\n4c\t4d\n*v\t*\n*-\t*-\n", "line 3: a spine is joined"),
        ("**kern\t**text\n4c\tla\n*v\t*v\n*-\n", "line 3: spines of different types"),
        ("**kern\t**kern\n4c\t4d\n*x\t*\n*-\t*-\n", "line 3: the number of exchanged spines"),
        ("**kern\t**kern\n4c\t4d\n=2\t4d\n*-\t*-\n", "line 3: a line that begins with ="),
        ("**kern\n4c\n*-\n**kern\n4d\n*-\n**kern\n4d\n*-\n", "^it holds 3 pieces; save each as a separate file"),
    ],
)
def test_a_broken_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_kern(text)


@st.composite
def voices(draw: st.DrawFn) -> list[list[tuple[Fraction, int | None]]]:
    """Durations and pitches of one to four voices of equal length."""
    durations = st.sampled_from([Fraction(1, 3), Fraction(1, 2), Fraction(3, 2), Fraction(2, 5), Fraction(1)])
    pitches = st.none() | st.integers(36, 84)
    lines = draw(st.lists(st.lists(st.tuples(durations, pitches), min_size=1, max_size=8), min_size=1, max_size=4))
    total = max(sum((length for length, _ in line), Fraction(0)) for line in lines)
    fills = [total - sum((length for length, _ in line), Fraction(0)) for line in lines]
    return [line + ([(fill, None)] if fill else []) for line, fill in zip(lines, fills, strict=True)]


def token_of(length: Fraction, pitch: int | None) -> str:
    """The **kern token of a note or rest."""
    duration = f"{4 * length.denominator}%{length.numerator}"
    if pitch is None:
        return duration + "r"
    octave, step = divmod(pitch - 60, 12)
    letter = "ccddeffggaab"[step]
    name = letter * (octave + 1) if octave >= 0 else letter.upper() * -octave
    return duration + name + ("#" if step in (1, 3, 6, 8, 10) else "")


def cells_of(score: list[list[tuple[Fraction, int | None]]]) -> tuple[list[list[str]], list[Row]]:
    """The cells of each onset, and the notes that they encode."""
    notes: list[Row] = []
    starts: dict[Fraction, dict[int, str]] = {}
    for voice, line in enumerate(score):
        now = Fraction(0)
        for length, pitch in line:
            starts.setdefault(now, {})[voice] = token_of(length, pitch)
            if pitch is not None:
                notes.append((now, now + length, pitch))
            now += length
    return [[starts[onset].get(voice, ".") for voice in range(len(score))] for onset in sorted(starts)], sorted(notes)


@given(voices())
def test_voices_written_as_spines_are_read_back(score: list[list[tuple[Fraction, int | None]]]) -> None:
    lines, notes = cells_of(score)
    assert written(parse_kern(kern(*("  ".join(line) for line in lines)))) == notes


@given(voices(), st.randoms(use_true_random=False))
def test_voices_written_as_branches_of_one_spine_are_read_back(
    score: list[list[tuple[Fraction, int | None]]], choice: random.Random
) -> None:
    lines, notes = cells_of(score)
    width, head = 1, ["**kern"]
    while width < len(score):
        split = sorted(choice.sample(range(width), choice.randint(1, min(width, len(score) - width))))
        head.append("\t".join("*^" if column in split else "*" for column in range(width)))
        width += len(split)
    joined = ["\t".join(["*v"] * width)] if width > 1 else []
    text = "\n".join([*head, *("\t".join(line) for line in lines), *joined, "*-"])
    assert written(parse_kern(text)) == notes


@given(
    st.lists(st.sampled_from([*"4c.r[]_q*^v-x+=! \t\n\n", "**kern", "*v\t*v", "*^", "*-", "4c", "2.e"]), max_size=60)
)
def test_any_text_is_read_or_refused(pieces: list[str]) -> None:
    with contextlib.suppress(SourceError):
        parse_kern("**kern\t**kern\n" + "".join(pieces))
