"""`pianogen train`: train one model."""

from jsonargparse import Namespace

from pianogen.config import TrainConfig
from pianogen.parsing import Parser, settings_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `train`."""
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_class_arguments(TrainConfig)


def run(arguments: Namespace) -> None:
    """Train, and request a requeue if the run was stopped before its budget was spent."""
    from pianogen.train import train

    if train(settings_of(TrainConfig, arguments)) == "stopped":
        from pianogen.distributed.requeue import exit_unfinished

        exit_unfinished()  # the very last: Slurm ends the job as soon as its requeue is requested
