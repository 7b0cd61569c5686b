"""Scoring in rows and windows equals reading each performance alone, one token after another."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_performances import corpora, spell

from pianogen.config import ModelConfig
from pianogen.evaluation.counts import NUM_GROUPS, Counts, groups_of
from pianogen.evaluation.score import divide, score
from pianogen.metrics import GROUPS
from pianogen.models import build_model
from pianogen.ops import masked_cross_entropy as operation
from pianogen.tokens.grammar import allowed, states_of


def tiny(kind: str = "lstm", **settings):
    torch.manual_seed(0)
    return build_model(ModelConfig(kind=kind, hidden_size=8, **settings))


def score_token_by_token(model, ids, mask) -> Counts:
    """What scoring means: from an empty state, each word of a performance is predicted from all before it."""
    state, words, states = model.initial_state(1), torch.tensor(ids, dtype=torch.int64), states_of(ids)
    predictions, nll = [], []
    for position in range(len(ids) - 1):
        logits, state = model.step(words[position : position + 1], state)
        legal = torch.tensor(allowed(mask)[states[position + 1]])
        chances = logits[0].double().masked_fill(~legal, -torch.inf).log_softmax(dim=0)
        predictions.append(int(chances.argmax()))
        nll.append(-float(chances[words[position + 1]]))
    targets, groups = ids[2:].astype(np.int64), groups_of(ids[2:], ids[1:-1])
    return Counts.of(targets, np.array(predictions[1:]), groups, np.array(nll[1:]))


def assert_same(one: Counts, other: Counts) -> None:
    assert np.array_equal(one.true_positive, other.true_positive)
    assert np.array_equal(one.predicted, other.predicted)
    assert np.array_equal(one.support, other.support)
    assert np.allclose(one.nll_nats, other.nll_nats, rtol=1e-5)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "attn"])
@settings(max_examples=12, deadline=None)
@given(corpora, st.integers(1, 6), st.integers(1, 40), st.sampled_from(["strict", "paper"]))
def test_rows_and_windows_equal_reading_one_token_after_another(kind, corpus, rows, window, mask):
    model = tiny(kind)
    expected = sum((score_token_by_token(model, ids, mask) for ids in corpus), start=Counts.zero())
    assert_same(score(model, corpus, mask, rows=rows, window=window), expected)


@pytest.fixture
def three_threads():
    """As many threads of torch as three groups of rows need."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "attn"])
def test_groups_of_rows_in_threads_of_their_own_equal_one_group(kind, three_threads):
    model, counts, groups_run = tiny(kind), {}, []
    corpus = [spell("xxbos xxpad" + " n60 d1 xxsep d2" * (index % 7 + 1) + " n62 d3 xxeos") for index in range(40)]
    model.register_forward_hook(lambda *_: groups_run.append(threading.get_ident()))
    for rows in (7, 26):  # too few for a second group; enough for three
        counts[rows] = score(model, corpus, "strict", rows=rows, window=5)
        assert len(set(groups_run)) == (1 if rows == 7 else 3)
        groups_run.clear()
    assert_same(counts[7], counts[26])
    assert torch.get_num_threads() == 3


def test_a_failure_in_one_group_ends_the_scoring_and_gives_the_threads_back(three_threads):
    model = tiny()

    def fail(*_):
        raise MemoryError("no room")

    model.register_forward_hook(fail)
    with pytest.raises(MemoryError, match="no room"):
        score(model, [spell("xxbos xxpad n60 d1 xxeos")] * 24, "strict")
    assert torch.get_num_threads() == 3


@settings(max_examples=12, deadline=None)
@given(corpora, st.integers(1, 4))
def test_the_sum_over_ranks_equals_one_rank_alone(corpus, num_ranks):
    model = tiny()
    shares = divide([len(ids) for ids in corpus], num_ranks)
    parts = [score(model, [corpus[index] for index in share], "strict") for share in shares]
    assert_same(sum(parts, start=Counts.zero()), score(model, corpus, "strict"))


@given(st.lists(st.integers(1, 10_000), max_size=60), st.integers(1, 9))
def test_dividing_gives_every_performance_to_exactly_one_part(lengths, parts):
    shares = divide(lengths, parts)
    assert len(shares) == parts
    assert sorted(index for share in shares for index in share) == list(range(len(lengths)))


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=60), st.integers(1, 9))
def test_no_part_is_ahead_of_another_by_more_than_one_performance(lengths, parts):
    loads = [sum(lengths[index] for index in share) for share in divide(lengths, parts)]
    assert max(loads) - min(loads) <= max(lengths)


def test_progress_counts_every_target():
    reported: list[int] = []
    ids = spell("xxbos xxpad n60 d1 xxsep d2 n62 d3 xxeos")
    counts = score(tiny(), [ids, ids], "strict", rows=2, window=3, progress=reported.append)
    assert sum(reported) == counts.targets.sum() == 2 * 7


def test_the_end_costs_likelihood_too():
    ids = spell("xxbos xxpad n60 d1 xxeos")
    assert score(tiny(), [ids], "strict").nll_nats[GROUPS.index("end")] > 0


def test_nothing_to_score_counts_nothing():
    assert score(tiny(), [], "strict").targets.tolist() == [0] * NUM_GROUPS


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_of_the_model_is_as_before(training):
    model = tiny(dropout=0.5).train(training)
    ids = spell("xxbos xxpad n60 d1 xxsep d2 n62 d3 xxeos")
    assert_same(score(model, [ids], "strict"), score(model, [ids], "strict"))
    assert model.training == training


def test_groups_have_the_same_names_as_in_the_loss():
    assert operation.GROUPS == GROUPS
