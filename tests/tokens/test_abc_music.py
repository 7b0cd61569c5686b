"""The notes of a line of ABC music: pitches, accidentals, lengths, chords, ties and what is left out."""

from fractions import Fraction

import pytest
from abc_notes import EIGHTHS, QUARTERS, durations, music, pitches, rows

from pianogen.tokens.scores.abc import parse_abc


def test_octave_marks_count_from_middle_c() -> None:
    assert pitches("C,, C, C c c' c''") == [36, 48, 60, 72, 84, 96]


def test_an_accidental_applies_to_the_bar_in_every_octave() -> None:
    assert pitches("^FFf,f|F") == [66, 66, 66, 78, 65]


def test_a_directive_limits_accidentals_to_their_octave() -> None:
    assert pitches("[I:propagate-accidentals octave] ^FFf|F") == [66, 66, 77, 65]


def test_a_directive_limits_accidentals_to_their_note() -> None:
    assert rows(f"{QUARTERS}%%propagate-accidentals not\n^FF|\n") == [(0, 1, 66), (1, 1, 65)]


def test_double_accidentals_and_naturals_replace_earlier_ones() -> None:
    assert pitches("^^F=F__B_B") == [67, 65, 69, 70]


def test_accidentals_of_grace_notes_apply_to_the_bar() -> None:
    assert pitches("{^f}gf|f") == [79, 78, 77]


@pytest.mark.parametrize(
    ("key", "sounding"),
    [
        ("D", [61, 66]), ("Bm", [61, 66]), ("E dor", [61, 66]), ("Amix", [61, 66]), ("G Lydian", [61, 66]),
        ("F#Phr", [61, 66]), ("C#loc", [61, 66]), ("HP", [61, 66]), ("none", [60, 65]), ("", [60, 65]),
        ("D =c", [60, 66]), ("Dmix=c^f", [60, 66]), ("exp _c ^^f", [59, 67]), ("^f", [60, 66]), ("G#", [61, 67]),
    ],
)  # fmt: skip
def test_a_key_alters_its_notes(key: str, sounding: list[int]) -> None:
    assert [pitch for _, _, pitch in rows(f"X:1\nL:1/4\nK:{key}\nCF|\n")] == sounding


def test_key_metre_and_unit_may_change_within_a_line() -> None:
    tune = f"{EIGHTHS}F8|[K:D][M:3/4]F6|[L:1/4]F3|Z|F3|\n"
    assert rows(tune) == [(0, 4, 65), (4, 3, 66), (7, 3, 66), (13, 3, 66)]


def test_lengths_multiply_and_divide_the_unit() -> None:
    assert durations("C2 C/ C// C3/2 C/4 C3//") == [2, *(Fraction(n, 4) for n in (2, 1, 6, 1, 3))]


def test_a_broken_rhythm_lengthens_one_note_and_shortens_the_other_equally() -> None:
    assert durations("A>B A<B A>>B A <<< B") == [Fraction(n, 8) for n in (12, 4, 4, 12, 14, 2, 1, 15)]


def test_a_broken_rhythm_applies_across_annotations_graces_and_chords() -> None:
    long, short = Fraction(3, 2), Fraction(1, 2)
    assert music('[CE]>"^slow"{d}[DF]') == [(0, long, 60), (0, long, 64), (long, short, 62), (long, short, 65)]


@pytest.mark.parametrize(
    ("metre", "tuplet", "factor"),
    [
        ("4/4", "(2", "3/2"), ("4/4", "(3", "2/3"), ("4/4", "(4", "3/4"), ("4/4", "(5", "2/5"), ("3/4", "(5", "2/5"),
        ("6/8", "(5", "3/5"), ("4/4", "(6", "1/3"), ("9/8", "(7", "3/7"), ("4/4", "(8", "3/8"), ("12/8", "(9", "1/3"),
        ("4/4", "(5:4", "4/5"), ("4/4", "(11:8:11", "8/11"), ("4/4", "(3::4", "2/3"),
    ],
)  # fmt: skip
def test_a_tuplet_scales_its_notes(metre: str, tuplet: str, factor: str) -> None:
    assert durations(f"{tuplet} CDEFGABcdef", f"X:1\nM:{metre}\nL:1/4\nK:C\n")[0] == Fraction(factor)


def test_a_tuplet_ends_after_its_number_of_notes() -> None:
    assert durations("(3:2:2 C2D E") == [Fraction(4, 3), Fraction(2, 3), 1]


def test_rests_count_in_a_tuplet() -> None:
    assert music("(3CzE F") == [(0, Fraction(2, 3), 60), (Fraction(4, 3), Fraction(2, 3), 64), (2, 1, 65)]


def test_a_chord_lasts_as_long_as_its_first_note_times_the_length_of_the_chord() -> None:
    assert music("[C2E]2D") == [(0, 4, 60), (0, 4, 64), (4, 1, 62)]


def test_a_tied_chord_is_joined() -> None:
    assert music("[CEG]2-[CEG]2|D4") == [(0, 4, 60), (0, 4, 64), (0, 4, 67), (4, 4, 62)]


def test_a_single_tied_note_of_a_chord_is_joined() -> None:
    assert music("[C-E][CF]") == [(0, 1, 64), (0, 2, 60), (1, 1, 65)]


def test_a_tie_keeps_its_accidental_across_the_bar_line_for_its_note_only() -> None:
    assert music("^c4-|c2c2|") == [(0, 6, 73), (6, 2, 72)]


def test_a_tie_may_span_several_bars_and_be_written_after_the_bar_line() -> None:
    assert music("c4-|c4-|c4|-c4") == [(0, 16, 72)]


def test_a_tie_without_a_continuation_changes_nothing() -> None:
    assert music("C-D C2-|z4") == [(0, 1, 60), (1, 1, 62), (2, 2, 60)]


def test_whole_bar_rests_last_as_long_as_bars() -> None:
    assert rows("X:1\nM:3/4\nL:1/4\nK:C\nC3|Z2|X|D3|\n") == [(0, 3, 60), (12, 3, 62)]


def test_invisible_rests_take_time_and_spacers_do_not() -> None:
    assert music("C2x2|C2y4E2y|") == [(0, 2, 60), (4, 2, 60), (6, 2, 64)]


def test_symbols_of_layout_are_silent() -> None:
    line = 'T.C!trill!D+fermata+E~F|!()!"Am7"(G"^up" A).(B c)`d $e !f |uv[c2e2]|'
    assert pitches(line) == [60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 72, 76]


def test_grace_notes_are_left_out_and_counted() -> None:
    score = parse_abc(f"{QUARTERS}{{ABc}}d {{/e}}f|{{[ce]}}g\n")
    assert (len(score.notes), score.grace_notes) == (3, 6)


def test_repeats_and_endings_are_read_once_in_written_order() -> None:
    assert pitches("|:C4|1D4:|2E4||[1F4:|[2G4::[|A4|]|[1,2 B4 .|c4:||:d4[|]") == [60, 62, 64, 65, 67, 69, 71, 72, 74]
