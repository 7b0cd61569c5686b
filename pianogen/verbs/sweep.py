"""`pianogen sweep`: search settings."""

from pathlib import Path

from jsonargparse import Namespace

from pianogen.config import SweepConfig, TrainConfig
from pianogen.parsing import Parser, settings_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `sweep`."""
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_argument("space", type=str, help="A YAML file of what to search; what it fixes wins over flags.")
    parser.add_class_arguments(SweepConfig)
    parser.add_class_arguments(TrainConfig)


def run(arguments: Namespace) -> None:
    """Train trials until none is left."""
    from pianogen.sweep import sweep

    if sweep(Path(arguments.space), settings_of(TrainConfig, arguments), settings_of(SweepConfig, arguments)):
        from pianogen.distributed.requeue import UNFINISHED_STATUS

        raise SystemExit(UNFINISHED_STATUS)
