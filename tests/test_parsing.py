"""What parsing.py assumes of jsonargparse beyond its public interface."""

import pytest

from pianogen.errors import SettingError
from pianogen.parsing import Parser


@pytest.fixture
def parser() -> Parser:
    parser, subparser = Parser(), Parser()
    parser.add_argument("--top", type=int)
    subparser.add_argument("--flag", type=bool, default=False)
    subparser.add_argument("--limit", type=int | None)
    parser.add_subcommands(dest="verb").add_subcommand("run", subparser)
    return parser


def test_the_settings_of_subcommands_are_known(parser: Parser) -> None:
    assert {"top", "flag", "limit"} <= set(parser.settings())


def test_only_boolean_settings_are_switches(parser: Parser) -> None:
    assert parser.switches() == {"--flag"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--flg", "1"], "unknown setting 'flg'; did you mean 'flag'?"),
        (["run", "--limit", "many"], "setting 'limit': Expected a int. Got value: many"),
    ],
)
def test_messages_are_recognised(parser: Parser, words: list[str], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        parser.parse_args(words)
    assert str(caught.value) == message
