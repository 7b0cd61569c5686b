"""The baselines agree with slow, plain definitions of themselves, and under the mask they remain distributions."""

import os
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_performances import corpora, spell

from pianogen.evaluation.baselines import Baselines
from pianogen.evaluation.counts import Counts
from pianogen.evaluation.ngram import KeyCounts, NGram
from pianogen.evaluation.target_stream import TargetStream
from pianogen.metrics import classification
from pianogen.tokens.grammar import allowed, states_of
from pianogen.tokens.vocab import FIRST_DURATION, PAD, SEP, VOCABULARY_SIZE

masks = st.sampled_from(["strict", "paper"])


def windows(performance, order: int):
    """Every target with the words before it, oldest first, as a tuple."""
    padded = [PAD] * order + performance.tolist()
    return [tuple(padded[end - order : end]) for end in range(order + 3, len(padded) + 1)]


def score_baselines(train, test, mask) -> dict[str, Counts]:
    return Baselines.fit(train, mask).score(test)


class SlowKneserNey:
    """Interpolated Kneser-Ney from the book: dictionaries, one probability at a time."""

    def __init__(self, corpus, order: int) -> None:
        counts = Counter(gram for performance in corpus for gram in windows(performance, order))
        self.by_order = {order: counts}
        for shorter in range(order - 1, 0, -1):
            self.by_order[shorter] = Counter(gram[1:] for gram in self.by_order[shorter + 1])

    def probability(self, gram) -> float:
        if not gram:
            return 1 / VOCABULARY_SIZE
        counts = self.by_order[len(gram)]
        following = {other: count for other, count in counts.items() if other[:-1] == gram[:-1]}
        below = self.probability(gram[1:])
        if not following:
            return below
        once, twice = (1 + list(counts.values()).count(times) for times in (1, 2))
        discount = once / (once + 2 * twice)
        reserved = discount * len(following)
        return (max(counts[gram] - discount, 0) + reserved * below) / sum(following.values())


def ngram_of(corpus, order: int, mask) -> NGram:
    return NGram(KeyCounts.of(TargetStream.of(corpus).keys(order)), order, allowed(mask))


@settings(max_examples=25, deadline=None)
@given(corpora, corpora, st.sampled_from([1, 2, 4]), masks)
def test_ngram_agrees_with_plain_kneser_ney_renormalised_under_the_mask(train, test, order, mask):
    slow, expected = SlowKneserNey(train, order), 0.0
    for performance in test:
        for gram, state in zip(windows(performance, order), states_of(performance)[2:], strict=True):
            legal = np.flatnonzero(allowed(mask)[state])
            mass = sum(slow.probability((*gram[:-1], int(word))) for word in legal)
            expected -= np.log(slow.probability(gram) / mass)
    assert ngram_of(train, order, mask).score(TargetStream.of(test)).nll_nats.sum() == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(corpora, st.sampled_from([1, 2, 4, 5]), masks)
def test_probabilities_sum_to_one_over_the_words_that_the_mask_admits(train, order, mask):
    stream = TargetStream.of(train)
    contexts = stream.keys(order) // VOCABULARY_SIZE
    table = ngram_of(train, order, mask).probabilities(contexts, stream.target_states)
    legal = allowed(mask)[stream.target_states]
    assert np.allclose(table.sum(axis=1), 1)
    assert ((table > 0) == legal).all()


def latest_fitting(performance, position: int, mask) -> int | None:
    """The word that repeat-last should predict, by searching backwards."""
    roles: dict[int, tuple] = {}
    for index in range(2, len(performance)):
        is_length = performance[index] >= FIRST_DURATION
        roles[index] = ("length", performance[index - 1] == SEP) if is_length else ("first",)
    legal = allowed(mask)[states_of(performance)[position]]
    for earlier in range(position - 1, 1, -1):
        if roles[earlier] == roles[position] and legal[performance[earlier]]:
            return int(performance[earlier])
    return None


def repeat_last(performance, position: int, unigram: NGram, mask) -> int:
    """What repeat-last predicts: the latest fitting word, or else the likeliest legal one."""
    latest = latest_fitting(performance, position, mask)
    if latest is not None:
        return latest
    return int(unigram.probabilities(np.zeros(1, np.int64), states_of(performance)[[position]]).argmax())


@settings(max_examples=50, deadline=None)
@given(corpora, masks)
def test_repeat_last_predicts_the_latest_word_that_fits_its_role(corpus, mask):
    unigram = ngram_of(corpus, 1, mask)
    positions = [(performance, position) for performance in corpus for position in range(2, len(performance))]
    guesses = [repeat_last(performance, position, unigram, mask) for performance, position in positions]
    ours = score_baselines(corpus, corpus, mask)["repeat-last"].predicted.sum(axis=0)
    assert np.array_equal(ours, np.bincount(guesses, minlength=VOCABULARY_SIZE))


@settings(max_examples=25, deadline=None)
@given(corpora, corpora, masks)
def test_performances_do_not_see_each_other(train, test, mask):
    fitted = Baselines.fit(train, mask)
    apart: dict[str, Counts] = defaultdict(Counts.zero)
    for performance in test:
        for name, counts in fitted.score([performance]).items():
            apart[name] += counts
    for name, counts in fitted.score(test).items():
        assert np.allclose(counts.to_vector(), apart[name].to_vector())


@given(corpora, masks)
@settings(max_examples=25, deadline=None)
def test_every_baseline_counts_every_target_but_bos_and_the_pad_after_it(corpus, mask):
    expected = np.bincount(np.concatenate([ids[2:] for ids in corpus]), minlength=VOCABULARY_SIZE)
    for counts in score_baselines(corpus, corpus, mask).values():
        assert np.array_equal(counts.support.sum(axis=0), expected)


def test_a_4gram_memorises_a_piece():
    piece = spell("xxbos xxpad n60 d1 xxsep d2 n62 d3 xxsep d4 n64 d5 xxeos")
    counts = score_baselines([piece] * 50, [piece], "strict")["4-gram"]
    assert np.array_equal(counts.true_positive, counts.support)


def test_a_bigram_does_not_see_two_words_back():
    pieces = [spell(f"xxbos xxpad n60 {length} xxsep d1 n62 {length} xxeos") for length in ("d1", "d2")]
    bigram, fourgram = (score_baselines(pieces, pieces, "strict")[name] for name in ("bigram", "5-gram"))
    assert bigram.nll_nats[2] > fourgram.nll_nats[2]


def test_words_never_seen_in_training_have_a_finite_likelihood():
    train = spell("xxbos xxpad n60 d1 xxeos")
    test = spell("xxbos xxpad xxsep d160 n108 d128 n21 d77 xxeos")
    assert all(np.isfinite(counts.nll_nats).all() for counts in score_baselines([train], [test], "strict").values())


@pytest.fixture(scope="module")
def maestro_table():
    archive = os.environ.get("PIANOGEN_MAESTRO_ARCHIVE")
    if not archive:
        pytest.skip("PIANOGEN_MAESTRO_ARCHIVE is not set")
    splits = _read_maestro(archive)
    return score_baselines(splits["train"], splits["test"], "strict")


def _read_maestro(archive: str) -> dict[str, list[np.ndarray]]:
    import csv
    import io
    import zipfile

    from pianogen.config import TokenizerConfig
    from pianogen.tokens import read_midi, tokenize

    splits: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    with zipfile.ZipFile(archive) as files:
        listing = next(name for name in files.namelist() if name.endswith(".csv"))
        for row in csv.DictReader(io.TextIOWrapper(files.open(listing), "utf-8")):
            if row["split"] not in splits:
                continue
            midi = files.read(f"{listing.rsplit('/', 1)[0]}/{row['midi_filename']}")
            splits[row["split"]].append(tokenize(read_midi(midi), TokenizerConfig())[0])
    return splits


@pytest.mark.maestro
def test_maestro_test_split_has_every_target_of_its_2160885_tokens(maestro_table):
    assert all(counts.targets.sum() == 2_160_885 - 2 * 177 for counts in maestro_table.values())


@pytest.mark.maestro
def test_two_pairs_of_context_reach_the_accuracy_measured_elsewhere_on_maestro(maestro_table):
    counts = maestro_table["5-gram"]
    overall = classification(counts.true_positive, counts.predicted, counts.support).overall
    measured = overall.accuracy, overall.weighted_precision, overall.weighted_f1
    assert measured == pytest.approx((0.532, 0.426, 0.449), abs=0.003)


@pytest.mark.maestro
def test_a_longer_context_predicts_maestro_better(maestro_table):
    nll = [maestro_table[name].nll_nats.sum() for name in ("unigram", "bigram", "4-gram", "5-gram")]
    assert nll == sorted(nll, reverse=True)
