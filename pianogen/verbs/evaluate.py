"""`pianogen evaluate`: score runs and compare them."""

from jsonargparse import Namespace

from pianogen.config import EvaluateConfig
from pianogen.parsing import Parser, settings_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `evaluate`."""
    parser.add_argument("runs", type=str, nargs="+", help="Run folders or their URLs; several are compared.")
    parser.add_class_arguments(EvaluateConfig)


def run(arguments: Namespace) -> None:
    """Score runs, fetching those that are URLs."""
    from pianogen.evaluation import evaluate
    from pianogen.runs import local_run

    config = settings_of(EvaluateConfig, arguments)
    evaluate([local_run(name, config.checkpoint) for name in arguments.runs], config)
