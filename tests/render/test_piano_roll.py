"""A piano roll shows every note at its time and pitch, marks the prompt, and is deterministic."""

import io
from itertools import pairwise

import matplotlib.image
import numpy as np
import pytest

from pianogen.render import piano_roll
from pianogen.tokens.notes import Notes

BLUE, ORANGE = (0x1F, 0x5F, 0xA8), (0xE0, 0x8A, 0x1E)


def notes_of(*rows: tuple[int, int, int]) -> Notes:
    """Notes from onset, duration and pitch."""
    return Notes(*np.array(rows, dtype=np.int64).reshape(-1, 3).T)


def picture_of(notes: Notes, **settings) -> bytes:
    buffer = io.BytesIO()
    piano_roll(notes, buffer, **settings)
    return buffer.getvalue()


def pixels(picture: bytes) -> np.ndarray:
    return np.round(matplotlib.image.imread(io.BytesIO(picture))[..., :3] * 255).astype(int)


def amount(picture: bytes, colour: tuple[int, int, int]) -> int:
    """Pixels of a note's colour, the legend's included."""
    return int((pixels(picture) == colour).all(axis=-1).sum())


@pytest.mark.parametrize(("steps", "pitch"), [(1, 22), (5, 61), (12, 107)])
def test_two_notes_cover_twice_the_area_of_one(steps, pitch):
    frame = (0, 1, 21), (32, 1, 108)
    nothing, once, twice = (
        amount(picture_of(notes_of(*frame, *more)), BLUE)
        for more in ([], [(4, steps, pitch)], [(4, steps, pitch), (16, steps, pitch)])
    )
    assert twice - nothing == pytest.approx(2 * (once - nothing), rel=0.2)


def test_a_note_three_times_as_long_covers_three_times_the_area():
    frame = (0, 1, 50), (32, 1, 70)
    nothing, short, long = (
        amount(picture_of(notes_of(*frame, *more)), BLUE) for more in ([], [(4, 8, 60)], [(4, 24, 60)])
    )
    assert long - nothing == pytest.approx(3 * (short - nothing), rel=0.1)


def test_a_higher_pitch_is_drawn_higher():
    rows = []
    for pitch in (50, 60, 70):
        found = (pixels(picture_of(notes_of((0, 16, 40), (16, 16, 80), (32, 16, pitch)))) == BLUE).all(axis=-1)
        third = found[60:, int(found.shape[1] * 0.75)]
        rows.append(np.flatnonzero(third).mean())
    assert all(lower > higher for lower, higher in pairwise(rows))


def test_notes_that_begin_before_its_end_are_the_prompt():
    notes = notes_of((0, 8, 60), (7, 8, 64), (8, 8, 67))
    shares = [amount(picture_of(notes, prompt_steps=steps), BLUE) for steps in (0, 1, 8, 9)]
    assert shares[0] > shares[1] > shares[2] > shares[3]


def test_without_a_prompt_nothing_has_its_colour():
    assert amount(picture_of(notes_of((0, 8, 60))), ORANGE) == 0


def test_a_longer_piece_gets_more_lines_and_not_narrower_ones():
    short, long = (pixels(picture_of(notes_of((0, 4, 60), (bars * 16 - 4, 4, 60)))).shape for bars in (8, 40))
    assert long[0] > 3 * short[0]
    assert long[1] == short[1]


def test_a_very_long_piece_keeps_to_a_bounded_height():
    hours = notes_of((0, 4, 21), (100_000, 4, 108))
    assert pixels(picture_of(hours)).shape[0] < 10_000


def test_the_same_notes_give_the_same_bytes():
    notes = notes_of((0, 4, 60), (4, 4, 64))
    assert picture_of(notes, title="twice") == picture_of(notes, title="twice")


def test_a_finer_grid_shows_the_same_picture():
    coarse, fine = notes_of((0, 4, 60), (12, 4, 64)), notes_of((0, 8, 60), (24, 8, 64))
    areas = amount(picture_of(coarse), BLUE), amount(picture_of(fine, steps_per_quarter=8), BLUE)
    assert areas[0] == pytest.approx(areas[1], rel=0.1)


def test_no_notes_are_an_empty_picture_and_no_error():
    assert amount(picture_of(notes_of()), BLUE) > 0  # the legend's


def test_a_dollar_in_the_title_is_a_dollar():
    assert picture_of(notes_of((0, 4, 60)), title=r"$\frac$")


def test_shorter_bars_need_more_lines():
    waltz = notes_of((0, 4, 60), (140, 4, 64))
    heights = [pixels(picture_of(waltz, bar_steps=steps)).shape[0] for steps in (16, 6)]
    assert heights[1] > heights[0]
