"""The fit of the baselines is kept once and read again; nothing that happens to the file changes a score."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kept_files import cut, in_four_processes, one_bit

from pianogen.config import Mask
from pianogen.data import ShardSet, open_shards
from pianogen.evaluation import fit_cache
from pianogen.evaluation.baselines import Baselines, Fit
from pianogen.evaluation.fit_cache import fit_of


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The masks of all fits that are made anew."""
    made, fit = [], Fit.of

    def counted(train, mask):
        made.append(mask)
        return fit(train, mask)

    monkeypatch.setattr(fit_cache.Fit, "of", counted)
    return made


def scores(shards: ShardSet, fit: Fit, mask: Mask = "strict") -> dict[str, bytes]:
    """Every number of every baseline on the test split, as bytes."""
    test = shards.split("test")
    counts = Baselines.of(fit, mask).score([test.tokens(index) for index in range(len(test))])
    return {name: one.to_vector().tobytes() for name, one in counts.items()}


def beside(shards: ShardSet, mask="strict") -> Path:
    return shards.folder / ".baselines" / f"{mask}.fit"


def test_a_fit_that_was_kept_gives_the_same_scores_bit_for_bit(shards, fits):
    fresh, kept = fit_of(shards, "strict"), fit_of(shards, "strict")
    assert fits == ["strict"]
    assert scores(shards, kept) == scores(shards, fresh)


def test_each_mask_has_a_fit_of_its_own(shards, fits):
    for mask in ("strict", "paper", "strict", "paper"):
        fit_of(shards, mask)
    assert fits == ["strict", "paper"]


def test_the_shards_open_as_before_with_a_fit_beside_them(shards):
    fit_of(shards, "strict")
    assert beside(shards).exists()
    assert open_shards(shards.folder).fingerprint == shards.fingerprint


def another_file(data: bytes) -> bytes:
    return b"\xff" * len(data)


@pytest.mark.parametrize("damage", [cut, one_bit, another_file, lambda data: data + b"\0", lambda data: b""])
def test_a_damaged_fit_is_made_again_with_one_line(damage: Callable[[bytes], bytes], shards, fits, capsys):
    fresh = fit_of(shards, "strict")
    beside(shards).write_bytes(damage(beside(shards).read_bytes()))
    again = fit_of(shards, "strict")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"note: {beside(shards)} is ")
    assert said[0].endswith("; fitting the baselines again")
    assert scores(shards, again) == scores(shards, fresh)
    fit_of(shards, "strict")  # the damaged file was replaced
    assert fits == ["strict"] * 2


@pytest.mark.parametrize(
    "change", [lambda shards: replace(shards, fingerprint="0" * 64), lambda shards: shards_without_one(shards)]
)
def test_the_fit_of_other_shards_is_not_used(change: Callable[[ShardSet], ShardSet], shards, fits, capsys):
    fit_of(shards, "strict")
    fit_of(change(shards), "strict")
    assert fits == ["strict"] * 2
    assert "is not of these shards and this version; fitting the baselines again" in capsys.readouterr().err


def shards_without_one(shards: ShardSet) -> ShardSet:
    train = np.flatnonzero(shards.performances["split"] == 0)
    return replace(shards, performances=np.delete(shards.performances, train[0]))


def test_a_fit_of_another_version_is_not_used(shards, fits, monkeypatch):
    fit_of(shards, "strict")
    monkeypatch.setattr(fit_cache, "_VERSION", fit_cache._VERSION + 1)
    fit_of(shards, "strict")
    assert fits == ["strict"] * 2


def test_beside_shards_that_cannot_be_written_the_fit_is_kept_in_the_users_cache(shards, fits, capsys, tmp_path):
    (shards.folder / ".baselines").write_text("a file where the folder would be")
    first, second = fit_of(shards, "strict"), fit_of(shards, "strict")
    assert (fits, capsys.readouterr().err) == (["strict"], "")
    assert (tmp_path / "user/baselines" / shards.fingerprint[:32] / "strict.fit").exists()
    assert scores(shards, first) == scores(shards, second)


def test_where_nothing_can_be_written_one_line_says_so_and_the_fit_is_used(shards, fits, capsys):
    for path in (shards.folder / ".baselines", shards.folder.parent / "user"):
        path.write_text("a file where the folder would be")
    fresh = fit_of(shards, "strict")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("note: the fit of the baselines could not be kept: ")
    assert scores(shards, fresh) == scores(shards, fit_of(shards, "strict"))
    assert fits == ["strict"] * 2


def test_processes_that_fit_at_once_leave_one_whole_file(shards, fits):
    in_four_processes(fit_of, shards, "strict")
    assert [path.name for path in beside(shards).parent.iterdir()] == ["strict.fit"]
    fit_of(shards, "strict")
    assert fits == []
