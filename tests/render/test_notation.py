"""A score in SVG shows the notes on two staves, and is deterministic."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from pianogen.errors import TokenError
from pianogen.render.notation import engraved
from pianogen.tokens import Notes
from pianogen.tokens.staves import on_upper_staff


def notes_of(*rows: tuple[int, int, int]) -> Notes:
    """Notes from onset, duration and pitch."""
    return Notes(*np.array(rows, dtype=np.int64).reshape(-1, 3).T)


def amount(svg: str, kind: str) -> int:
    """How many elements of a class verovio has drawn."""
    return len(re.findall(rf'class="{kind}(?: [^"]*)?"', svg))


SCALE = notes_of(*((4 * index, 4, 60 + step) for index, step in enumerate([0, 2, 4, 5, 7, 9, 11, 12])))


def test_every_note_is_drawn():
    assert amount(engraved(SCALE), "note") == 8


def test_a_long_note_is_tied_over_the_bar_line():
    assert amount(engraved(notes_of((0, 12, 64), (12, 8, 60))), "tie") == 1


def test_a_grid_of_twelve_has_triplets():
    triplets = notes_of(*((4 * index, 4, 60 + index) for index in range(12)))
    assert amount(engraved(triplets, steps_per_quarter=12), "tuplet") == 4


def test_the_key_is_found():
    in_d = notes_of(*((4 * index, 4, 62 + step) for index, step in enumerate([0, 2, 4, 5, 7, 9, 11, 12])))
    assert not re.search(r'class="accid"[^>]*>\s*<use', engraved(in_d))
    assert amount(engraved(in_d), "keyAccid") == 4  # two sharps on each staff


def test_a_gap_of_a_sixteenth_is_no_rest():
    staccato = notes_of(*((2 * index, 1, 67) for index in range(7)), (14, 2, 67))
    assert amount(engraved(staccato), "rest") == 0


def test_a_gap_of_an_eighth_is_a_rest():
    assert amount(engraved(notes_of((0, 2, 67), (4, 12, 67))), "rest") == 1


def test_an_end_a_sixteenth_after_the_beat_moves_to_the_beat():
    assert amount(engraved(notes_of((0, 5, 67))), "tie") == 0
    assert amount(engraved(notes_of((0, 5, 67), (5, 3, 69))), "tie") == 1  # where a note begins, it stays


def test_a_staff_has_two_voices_at_most():
    four_lengths = notes_of((0, 16, 84), (1, 15, 76), (2, 8, 72), (3, 13, 67), (5, 2, 79), (7, 4, 74))
    assert amount(engraved(four_lengths), "layer") == 3  # the lower staff's, too


def test_it_is_one_xml_document_as_high_as_its_pages():
    long = engraved(notes_of(*((index, 1, 60 + index % 12) for index in range(1600))))
    root = ET.fromstring(long)
    pages = [child for child in root if child.tag.endswith("svg")]
    assert len(pages) > 1
    assert sum(int(page.get("height", 0)) for page in pages) == int(root.get("height", 0))


def test_a_title_is_text_whatever_it_holds():
    root = ET.fromstring(engraved(SCALE, title='<script>&"'))
    assert root[0].text == '<script>&"'


def test_the_same_notes_give_the_same_text():
    assert engraved(SCALE) == engraved(SCALE)


def test_a_grid_without_note_values_is_refused():
    with pytest.raises(TokenError, match="no note values for a grid of 11 steps"):
        engraved(notes_of((1, 1, 60)), steps_per_quarter=11)


def test_a_line_that_crosses_middle_c_stays_on_its_staff():
    down = notes_of(
        *((index, 1, 67 - index) for index in range(12)), *((12 + index, 1, 57 + index) for index in range(5))
    )
    assert on_upper_staff(down).tolist() == [True] * 12 + [True] * 5
    up = notes_of(*((index, 1, 52 + index) for index in range(13)))
    assert not on_upper_staff(up).any()


def test_beyond_a_fourth_from_middle_c_the_pitch_decides():
    assert on_upper_staff(notes_of((0, 1, 55), (1, 1, 66), (2, 1, 54))).tolist() == [False, True, False]


def test_hands_do_not_cross():
    chords = notes_of((0, 1, 65), (0, 1, 55), (1, 1, 61), (1, 1, 59), (2, 1, 60), (2, 1, 58))
    assert on_upper_staff(chords).tolist() == [True, False] * 3
