"""`pianogen train`: train one model."""

from collections.abc import Callable, Collection

from jsonargparse import Namespace

from pianogen.config import TrainConfig
from pianogen.parsing import Parser, settings_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `train`."""
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_class_arguments(TrainConfig)


def run(arguments: Namespace, *, given: Callable[[], Collection[str]]) -> None:
    """Train, and request a requeue if the run was stopped before its budget was spent.

    `given` names the settings on the command line and in its files: with --init the others of the model are that run's.
    """
    from pianogen.train import train

    config = settings_of(TrainConfig, arguments)
    if train(config, given=given() if config.init else None) == "stopped":
        from pianogen.distributed.requeue import exit_unfinished

        exit_unfinished()  # the very last: Slurm ends the job as soon as its requeue is requested
