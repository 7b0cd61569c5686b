"""Running `pianogen submit` inside a test."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from pianogen.cli import build_parser, main
from pianogen.parsing import Parser
from pianogen.verbs.submit import add_arguments, run

ROOT = Path(__file__).parents[2]


def _parse(words: Sequence[str]) -> Namespace:
    parser = build_parser()
    return parser.instantiate(parser.parse_args(words))


def submit(*words: str) -> None:
    """What `pianogen submit WORDS` does."""
    parser = Parser()
    add_arguments(parser)
    run(parser.instantiate(parser.parse_args(words)), main=main, parse=_parse)
