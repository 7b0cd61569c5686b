"""`pianogen reproduce`: the runs of a plan, their results, and the page of tables."""

from pathlib import Path

from jsonargparse import Namespace

from pianogen.config import ReproduceConfig
from pianogen.parsing import Parser, settings_of
from pianogen.verbs.out import out_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `reproduce`."""
    parser.add_argument("--out", type=str, required=True, help="Folder for the shards and runs.")
    parser.add_class_arguments(ReproduceConfig)


def run(arguments: Namespace) -> None:
    """Train and score what has no result yet, write the page, and request a requeue if a signal stopped it."""
    from pianogen.reproduce import reproduce

    if reproduce(Path(out_of(arguments)), settings_of(ReproduceConfig, arguments)):
        from pianogen.distributed.requeue import exit_unfinished

        exit_unfinished()
