"""Fitness and structureness: against the definition, path by path, and on pieces whose repetition is known."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.metrics.music.structure import fitness, self_similarity, structureness
from pianogen.metrics.music.windows import Piece
from pianogen.tokens.notes import Notes, canonical

FAR = (-(10**9), 0, 0)


def best_family(score: list[list[int]], begin: int, length: int) -> tuple[int, int, int]:
    """Score, cells and covered frames of the best paths over all frames, by recursion; of equal scores the longer."""

    @cache
    def family(frame: int) -> tuple[int, int, int]:  # of the frames before this one
        if frame == 0:
            return 0, 0, 0
        points, cells, covered = path(frame - 1, length - 1)
        return max(family(frame - 1), (points, cells, covered + frame))

    @cache
    def path(frame: int, place: int) -> tuple[int, int, int]:  # that ends here, its first frame subtracted
        if frame < 0 or place < 0:
            return FAR
        if place == 0:
            points, cells, covered = family(frame)
            before = (points, cells, covered - frame)
        else:
            steps = ((1, 1), (2, 1), (1, 2))
            before = max(path(frame - x, place - y) if place - y >= 0 else FAR for x, y in steps)
        return before[0] + score[frame][begin + place], before[1] + 1, before[2]

    return family(len(score))


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(4, 12), st.integers(1, 5))
def test_fitness_is_that_of_the_best_paths(seed: int, frames: int, length: int) -> None:
    random = np.random.Generator(np.random.Philox(seed))
    similarity = random.choice([0.2, 0.9, 0.95, 1.0], (frames, frames))
    np.fill_diagonal(similarity, 1)
    score = np.rint(np.where(similarity >= 0.85, (similarity - 0.85) / 0.15, -2) * 256).astype(int).tolist()
    expected = []
    for begin in range(0, frames - length + 1, max(1, length // 2)):
        points, cells, covered = best_family(score, begin, length)
        per_cell, coverage = max(points / 256 - length, 0) / cells, max(covered - length, 0) / frames
        expected.append(2 * per_cell * coverage / (per_cell + coverage) if per_cell + coverage else 0)
    np.testing.assert_allclose(fitness(similarity, [length])[0], expected, atol=1e-12)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.lists(st.integers(1, 13), min_size=1, max_size=5))
def test_fitness_of_a_length_does_not_depend_on_the_lengths_beside_it(
    seed: int, frames: int, lengths: list[int]
) -> None:
    random = np.random.Generator(np.random.Philox(seed))
    similarity = random.choice([0.2, 0.9, 1.0], (frames, frames))
    together = fitness(similarity, lengths)
    assert [found.tolist() for found in together] == [fitness(similarity, [one])[0].tolist() for one in lengths]


def repeated(phrase_s: int, times: int) -> Piece:
    """A melody of one note a second, of other pitch classes each second, played several times."""
    random = np.random.Generator(np.random.Philox(5))
    phrase = np.concatenate([random.permutation(12) for _ in range(1 + phrase_s // 12)])[:phrase_s]
    pitch = 60 + np.tile(phrase, times)
    onset = np.arange(len(pitch)) * 8
    return Piece(Notes(onset, np.full(len(pitch), 8), pitch), 4)


def test_a_phrase_repeated_without_end_reaches_the_most_that_its_length_allows() -> None:
    # of n repetitions one is not counted: the score and the cover are both (n - 1) / n
    assert structureness(repeated(20, 5), (20,)) == pytest.approx(4 / 5, abs=0.05)


def test_a_phrase_is_found_at_its_own_range_and_not_above() -> None:
    once = repeated(70, 1)
    twice = repeated(35, 2)
    assert structureness(twice, (30,)) > 0.4 > 0.2 > structureness(once, (30,))


def test_a_repetition_at_another_tempo_is_one() -> None:
    pitch = 60 + np.random.Generator(np.random.Philox(5)).permutation(12).repeat(2)
    length = np.concatenate([np.full(len(pitch), 8), np.full(len(pitch), 12)])
    slower = Notes(np.cumsum(length) - length, length, np.tile(pitch, 2))
    assert structureness(Piece(slower, 4), (20,)) > 0.4


def test_silent_seconds_resemble_nothing() -> None:
    apart = canonical(np.array([0, 80]), np.array([8, 8]), np.array([60, 60]))
    similarity = self_similarity(Piece(apart, 4))
    assert similarity[5].max() == 0
    assert similarity[0, 10] == pytest.approx(1)


@pytest.mark.parametrize(("seconds", "defined"), [(39, False), (40, True)])
def test_structureness_is_defined_from_twice_the_least_length(seconds: int, defined: bool) -> None:
    assert np.isfinite(structureness(repeated(seconds, 1), (20, 30))) == defined
