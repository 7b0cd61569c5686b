"""Texts of words or ids as `pianogen tokens --to` takes them: read, or refused in one line."""

from pathlib import Path

import pytest

from pianogen.errors import SourceError, TokenError
from pianogen.tokens import text


def ids_in(tmp_path: Path, content: str) -> list[int]:
    (tmp_path / "words.txt").write_text(content)
    return text.ids_in(tmp_path / "words.txt").tolist()


def test_a_negative_number_is_left_for_the_grammar_to_refuse(tmp_path: Path) -> None:
    assert ids_in(tmp_path, "0 -1") == [0, -1]


@pytest.mark.parametrize("content", ["xxbos xxpad n60 d4 xxeos", " 0\n1 69 141\t2 "])
def test_words_and_numbers_mean_the_same(tmp_path: Path, content: str) -> None:
    assert ids_in(tmp_path, content) == [0, 1, 69, 141, 2]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("² 1", "word 0 is '²'"),
        ("0 1 99999999999999999999", "token 2 is 99999999999999999999"),
    ],
)
def test_what_is_no_word_is_refused_by_its_position(tmp_path: Path, content: str, named: str) -> None:
    with pytest.raises(TokenError, match=named):
        ids_in(tmp_path, content)


def test_a_text_is_read_no_further_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_TEXT_BYTES", 1000)
    with pytest.raises(SourceError, match="/dev/zero has more than 1000 bytes"):
        text.ids_in(Path("/dev/zero"))
