"""Text files of words or ids, the input of `pianogen tokens --to`."""

from pathlib import Path

import pytest

from pianogen.errors import SourceError, TokenError
from pianogen.tokens import text


def read_ids(tmp_path: Path, content: str) -> list[int]:
    (tmp_path / "words.txt").write_text(content)
    return text.read_ids(tmp_path / "words.txt").tolist()


def test_a_negative_number_is_read_for_the_grammar_to_refuse(tmp_path: Path) -> None:
    assert read_ids(tmp_path, "0 -1") == [0, -1]


@pytest.mark.parametrize("content", ["xxbos xxpad n60 d4 xxeos", " 0\n1 69 141\t2 "])
def test_words_and_ids_give_the_same_tokens(tmp_path: Path, content: str) -> None:
    assert read_ids(tmp_path, content) == [0, 1, 69, 141, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("² 1", "word 0 is '²'"),
        ("0 1 99999999999999999999", "token 2 is 99999999999999999999"),
    ],
)
def test_an_unknown_word_is_named_with_its_position(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(TokenError, match=message):
        read_ids(tmp_path, content)


def test_a_text_file_is_read_only_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_TEXT_BYTES", 1000)
    with pytest.raises(SourceError, match="/dev/zero has more than 1000 bytes"):
        text.read_ids(Path("/dev/zero"))
