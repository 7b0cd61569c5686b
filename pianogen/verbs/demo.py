"""`pianogen demo`: every step once, on a corpus that is already installed."""

from pathlib import Path

from jsonargparse import Namespace

from pianogen.parsing import Parser


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `demo`."""
    parser.add_argument("--out", type=str, default="runs/demo", help="Folder for everything the demo makes.")
    parser.add_argument("--seconds", type=float, default=60.0, help="Training time of each model.")
    parser.add_argument("--workers", type=int, default=2, help="Processes that read scores.")


def run(arguments: Namespace) -> None:
    """Make shards, train the models, evaluate them and generate pieces."""
    from pianogen.demo import demo

    demo(Path(arguments.out), seconds=arguments.seconds, workers=arguments.workers)
