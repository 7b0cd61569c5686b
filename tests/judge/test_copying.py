"""What pieces copy from the train split, with the source and the bars; what performances of people do."""

import json

import numpy as np
import pytest

from pianogen.data import ShardSet
from pianogen.judge import copying as copying_module
from pianogen.judge.copy_index import CopyIndex
from pianogen.judge.copying import MIN_NOTES, Copies, copies_of, human_copies, summary
from pianogen.judge.passages import Timing
from pianogen.metrics.originality import EXACT
from pianogen.tokens import Notes, encode

STEPS_PER_BAR = 16
SOURCE, FIRST, NUM = 5, 7, 40  # the passage that is planted


@pytest.fixture
def index(shards: ShardSet) -> CopyIndex:
    return CopyIndex.of(shards)


def unlike(seed: int, num_notes: int) -> Notes:
    """Notes with wide leaps and long waits, none of which the performances have."""
    random = np.random.default_rng(seed)
    onset = np.cumsum(random.integers(20, 60, num_notes))
    return Notes(onset, random.integers(20, 60, num_notes), np.where(np.arange(num_notes) % 2, 30, 100))


def followed_by(*parts: Notes) -> Notes:
    """The parts one after the other, 100 steps apart."""
    onsets, begin = [], 0
    for part in parts:
        onsets.append(part.onset - part.onset[0] + begin)
        begin = int(onsets[-1][-1]) + 100
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("duration", "pitch")]
    return Notes(np.concatenate(onsets), *columns)


def passage(notes: Notes, first: int, num_notes: int, semitones: int = 0) -> Notes:
    part = slice(first, first + num_notes)
    return Notes(notes.onset[part], notes.duration[part], notes.pitch[part] + semitones)


def planted(train: list[Notes], semitones: int = 0) -> Notes:
    return followed_by(unlike(1, 20), passage(train[SOURCE], FIRST, NUM, semitones), unlike(2, 20))


def bar(onset: int) -> int:
    return int(onset) // STEPS_PER_BAR + 1


def test_a_planted_copy_is_found_with_its_source_and_bars(index, train):
    piece = planted(train)
    (copies,) = copies_of([piece], index)
    run, source = copies.exact, train[SOURCE]
    assert run is not None
    assert run.source == index.train.metadata(SOURCE)["source"]
    assert (run.in_piece.first_note, run.in_source.first_note, run.notes, run.semitones) == (20, FIRST, NUM, 0)
    for where, notes, first in ((run.in_piece, piece, 20), (run.in_source, source, FIRST)):
        assert (where.first_bar, where.last_bar) == (bar(notes.onset[first]), bar(notes.onset[first + NUM - 1]))


def test_the_times_of_a_copy_are_those_of_the_two_performances(index, train):
    piece = planted(train)
    (copies,) = copies_of([piece], index)
    assert copies.exact is not None
    assert copies.exact.in_piece.start_s == pytest.approx(0.125 * piece.onset[20], abs=0.001)
    assert copies.exact.in_source.start_s == pytest.approx(0.125 * train[SOURCE].onset[FIRST], abs=0.001)


def test_a_stated_timing_moves_bars_and_times(index, train):
    piece = planted(train)
    (copies,) = copies_of([piece], index, [Timing(steps_per_bar=12, seconds_per_step=0.5)])
    assert copies.exact is not None
    assert copies.exact.in_piece.first_bar == piece.onset[20] // 12 + 1
    assert copies.exact.in_piece.end_s == 0.5 * piece.onset[20 + NUM - 1]


@pytest.mark.parametrize("semitones", [-7, 5])
def test_a_transposed_copy_is_near_and_not_exact(semitones, index, train):
    (copies,) = copies_of([planted(train, semitones)], index)
    assert copies.near is not None
    assert copies.exact is not None
    assert (copies.near.in_piece.first_note, copies.near.notes, copies.near.semitones) == (20, NUM, semitones)
    assert copies.near.source == index.train.metadata(SOURCE)["source"]
    assert copies.exact.notes < NUM


def test_a_performance_of_the_train_split_is_all_copied(index, train):
    long = [notes for notes in train if len(notes) >= MIN_NOTES]
    for notes, copies in zip(long, copies_of(long, index), strict=True):
        assert copies.exact is not None
        assert (copies.exact.notes, copies.exact_share, copies.near_share) == (len(notes), 1.0, 1.0)


def test_the_share_counts_the_notes_of_the_copy(index, train):
    (copies,) = copies_of([planted(train)], index)
    assert copies.exact_share == copies.near_share == NUM / (NUM + 40)


def test_a_piece_unlike_all_performances_copies_no_note(index):
    (copies,) = copies_of([unlike(3, 50)], index)
    assert (copies.exact, copies.exact_share, copies.near_share) == (None, 0.0, 0.0)
    assert copies.near is not None
    assert copies.near.notes == 1


def test_a_run_says_how_many_different_pitches_it_has(index, train):
    (copies,) = copies_of([planted(train)], index)
    assert copies.exact is not None
    assert copies.exact.pitches == len(set(train[SOURCE].pitch[FIRST : FIRST + NUM].tolist()))


def test_a_piece_without_notes_copies_nothing(index):
    empty = np.empty(0, np.int64)
    assert copies_of([Notes(empty, empty, empty)], index) == [Copies(0, None, None, 0.0, 0.0)]


def test_tokens_and_notes_of_a_piece_give_the_same(index, train):
    assert copies_of([encode(train[3])], index) == copies_of([train[3]], index)


def test_a_run_does_not_lead_from_one_performance_to_the_next(index, train):
    (copies,) = copies_of([followed_by(train[2], train[3])], index)
    assert copies.exact is not None
    assert copies.exact.notes <= max(len(train[2]), len(train[3])) + 1


def test_what_people_copy_is_what_the_test_split_copies(index, shards):
    test = shards.split("test")
    found = human_copies(index)
    expected = copies_of([test.tokens(performance) for performance in range(len(test))], index)
    assert [(copies.exact, copies.near) for copies in found] == [(copies.exact, copies.near) for copies in expected]


def test_what_people_copy_is_computed_once(index, monkeypatch):
    first = human_copies(index)
    monkeypatch.setattr(copying_module, "copies_of", None)
    assert human_copies(index) == first


def test_the_result_goes_through_json(index, train):
    for copies in copies_of([planted(train), unlike(3, 5)], index):
        assert Copies.from_json(json.loads(json.dumps(copies.to_json()))) == copies


def test_metadata_that_are_not_what_they_should_be_cost_only_bars_and_times(index, train, monkeypatch):
    metadata = {"time_signature": ["3", {}], "seconds": "long", "composer": None}
    monkeypatch.setattr(type(index.train), "metadata", lambda split, index: metadata)
    (copies,) = copies_of([planted(train)], index)
    assert copies.exact is not None
    assert copies.exact.notes == NUM
    assert copies.exact.in_source.first_bar == bar(train[SOURCE].onset[FIRST])
    assert copies.exact.in_source.start_s == 0.125 * train[SOURCE].onset[FIRST]


def test_the_longest_run_of_a_form_can_be_asked_for_each_note(index, train):
    lengths, places = index.longest(EXACT, train[SOURCE])
    assert lengths[0] == len(train[SOURCE])
    assert index.source_of(int(places[0])) == (SOURCE, 0)


def test_a_summary_has_the_middle_and_the_end_of_the_lengths(index, train):
    pieces = [passage(train[SOURCE], 0, length) for length in range(10, 31)]
    exact = summary(copies_of(pieces, index))["exact"]
    assert (exact["median"], exact["percentile_95"], exact["maximum"]) == (20, 29, 30)
    assert exact["mean_share"] == pytest.approx(15 / 21)  # those of at least 16 notes are copied as a whole


def test_no_pieces_have_no_summary():
    assert summary([]) == {}
