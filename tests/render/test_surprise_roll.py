"""A roll in the colours of surprise: surprising notes are dark red, and the same notes give the same bytes."""

import io

import matplotlib.image
import numpy as np
import pytest

from pianogen.render import surprise_roll
from pianogen.tokens.notes import Notes

PALEST, DARKEST, MARK = (0xA9, 0xC4, 0xDD), (0x5A, 0x07, 0x14), (0xFB, 0xE3, 0xDF)
NOTES = Notes(np.array([0, 16, 32, 48]), np.array([8, 8, 8, 8]), np.array([60, 64, 60, 64]))


def picture_of(surprise: list[float], notes: Notes = NOTES, **settings) -> bytes:
    buffer = io.BytesIO()
    surprise_roll(notes, np.array(surprise, dtype=float), buffer, **settings)
    return buffer.getvalue()


def columns(picture: bytes, colour: tuple[int, int, int]) -> np.ndarray:
    """Where a colour is below the heading, as shares of the width."""
    pixels = np.round(matplotlib.image.imread(io.BytesIO(picture))[60:, :, :3] * 255).astype(int)
    return np.flatnonzero((pixels == colour).all(axis=-1).any(axis=0)) / pixels.shape[1]


def test_the_surprising_note_is_dark_and_the_others_are_pale():
    picture = picture_of([1, 1, 9, 1])
    dark, pale = columns(picture, DARKEST), columns(picture, PALEST)
    assert 0.45 < dark.min() < dark.max() < 0.7
    assert len(pale) > 2 * len(dark)


def test_notes_of_one_surprise_have_one_colour_however_high_it_is():
    assert not len(columns(picture_of([9, 9, 9, 9]), DARKEST))


@pytest.mark.parametrize(("bar", "left", "right"), [(0, 0.0, 0.3), (3, 0.7, 1.0)])
def test_the_marked_bar_is_shaded(bar, left, right):
    shaded = columns(picture_of([1, 2, 3, 4], marked_bar=bar), MARK)
    assert left < shaded.min() < shaded.max() < right


def test_without_a_mark_nothing_is_shaded():
    assert not len(columns(picture_of([1, 2, 3, 4]), MARK))


def test_an_impossible_note_is_the_darkest():
    assert len(columns(picture_of([1, 1, np.inf, 1]), DARKEST))


def test_the_same_surprise_gives_the_same_bytes():
    assert picture_of([1, 2, 3, 4], title="$twice$") == picture_of([1, 2, 3, 4], title="$twice$")


def test_no_notes_are_an_empty_picture_and_no_error():
    assert picture_of([], Notes(*np.zeros((3, 0), dtype=np.int64)))
