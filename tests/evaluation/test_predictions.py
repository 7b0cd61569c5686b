"""Predictions one by one: their sums are those of `score`, by performance and for excerpts too."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_performances import corpora, spell

from pianogen.config import ModelConfig
from pianogen.evaluation import score
from pianogen.evaluation.counts import Counts
from pianogen.evaluation.predictions import padding_of_batches, predict
from pianogen.metrics import averages, classification
from pianogen.models import PianoModel, build_model
from pianogen.tokens.vocab import PAD


def tiny(kind: str = "lstm") -> PianoModel:
    torch.manual_seed(0)
    return build_model(ModelConfig(kind=kind, hidden_size=8))


def assert_same(one: Counts, other: Counts) -> None:
    assert np.array_equal(one.true_positive, other.true_positive)
    assert np.array_equal(one.predicted, other.predicted)
    assert np.array_equal(one.support, other.support)
    assert np.allclose(one.nll_nats, other.nll_nats, rtol=1e-5)


@pytest.mark.parametrize("kind", ["rnn", "attn"])
@settings(max_examples=12, deadline=None)
@given(corpora, st.integers(1, 6), st.integers(1, 40))
def test_the_sums_of_all_predictions_are_those_of_score(kind, corpus, rows, window):
    model = tiny(kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pianogen.evaluation.predictions._WINDOW", window)
        found = predict(model, corpus, "strict", rows=rows)
    assert_same(found.counts(), score(model, corpus, "strict"))


@settings(max_examples=12, deadline=None)
@given(corpora)
def test_the_sums_of_a_performance_are_those_of_scoring_it_alone(corpus):
    sums = predict(tiny(), corpus, "strict").by_performance()
    assert len(sums) == len(corpus)
    for index, ids in enumerate(corpus):
        alone = score(tiny(), [ids], "strict")
        assert np.array_equal(sums.support[index], alone.support[:-1].sum(axis=0))
        assert np.array_equal(sums.predicted[index], alone.predicted[:-1].sum(axis=0))
        assert np.array_equal(sums.true_positive[index], alone.true_positive[:-1].sum(axis=0))
        assert sums.targets[index] == alone.targets.sum()
        assert sums.nll_nats[index] == pytest.approx(alone.nll_nats.sum(), rel=1e-5)


@settings(max_examples=12, deadline=None)
@given(corpora, st.integers(1, 12))
def test_the_predictions_of_a_performance_have_its_words_in_order(corpus, length):
    for excerpt_tokens in (None, length):
        found = predict(tiny(), corpus, "strict", excerpt_tokens=excerpt_tokens)
        for index, ids in enumerate(corpus):
            one = found.of_performance(index)
            assert one.position.tolist() == list(range(2, len(ids)))
            assert one.targets.tolist() == ids[2:].tolist()


@settings(max_examples=12, deadline=None)
@given(corpora)
def test_the_rank_is_one_where_the_prediction_is_right_and_higher_elsewhere(corpus):
    found = predict(tiny(), corpus, "strict")
    assert np.array_equal(found.rank == 1, found.words == found.targets)
    assert (np.exp(-found.nll_nats) * found.rank <= 1 + 1e-6).all()


@settings(max_examples=12, deadline=None)
@given(corpora, st.integers(1, 12))
def test_an_excerpt_is_read_from_an_empty_state(corpus, length):
    model, found = tiny(), predict(tiny(), corpus, "strict", excerpt_tokens=length)
    assert np.array_equal(found.counts().support, score(model, corpus, "strict").support)
    first = predict(model, [ids[: length + 1] for ids in corpus], "strict")
    begins = Counts.zero() if not len(first.targets) else first.counts()
    assert (found.counts().predicted >= begins.predicted).all()


@given(corpora)
def test_an_excerpt_longer_than_every_performance_changes_no_prediction(corpus):
    longest = max(map(len, corpus))
    cut, whole = (predict(tiny(), corpus, "strict", excerpt_tokens=length) for length in (longest, None))
    assert_same(cut.counts(), whole.counts())
    assert cut.padding == sum(longest - (len(ids) - 1) for ids in corpus)


def test_a_cut_performance_forgets():
    ids = spell("xxbos xxpad n64 d1 n62 d2 xxsep d1 n64 d1 xxsep d1 n60 d1 xxeos")
    carried, cut = (predict(tiny(), [ids], "strict", excerpt_tokens=length) for length in (None, 2))
    assert carried.nll_nats.sum() != pytest.approx(cut.nll_nats.sum(), rel=1e-4)


@settings(max_examples=12, deadline=None)
@given(corpora, st.integers(1, 12))
def test_padding_counts_as_one_more_class_that_is_always_right(corpus, length):
    found = predict(tiny(), corpus, "strict", excerpt_tokens=length)
    counts = found.counts()
    plain = averages(*(part.sum(axis=0) for part in (counts.true_positive, counts.predicted, counts.support)))
    padded = found.averages_with_padding(found.padding)
    share = found.padding / (found.padding + len(found.targets))
    assert padded.weighted_f1 == pytest.approx((1 - share) * plain.weighted_f1 + share)
    assert padded.accuracy == pytest.approx((1 - share) * plain.accuracy + share)
    assert padded.classes == plain.classes + (found.padding > 0)
    assert not (found.words == PAD).any()


def test_without_padding_the_end_is_the_only_class_that_the_averages_leave_out():
    found = predict(tiny(), [spell("xxbos xxpad n64 d1 n62 d2 xxsep d1 n64 d1 xxeos")], "strict")
    counts = found.counts()
    overall = classification(counts.true_positive, counts.predicted, counts.support).overall
    assert found.averages_with_padding(0).classes == overall.classes + 1


@given(st.lists(st.integers(1, 50), max_size=12), st.integers(1, 5))
def test_padded_batches_are_rectangles(lengths, batch):
    rectangles = [lengths[start : start + batch] for start in range(0, len(lengths), batch)]
    positions = sum(len(one) * max(one) for one in rectangles)
    assert padding_of_batches(lengths, batch) == positions - sum(lengths)


def test_performances_of_one_length_need_no_padding():
    assert padding_of_batches([7, 7, 7], 2) == 0
    assert padding_of_batches([7, 3, 5], 2) == 4
