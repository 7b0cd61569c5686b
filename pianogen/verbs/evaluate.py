"""`pianogen evaluate`: score runs and compare them."""

from pathlib import Path

from jsonargparse import Namespace

from pianogen.config import EvaluateConfig
from pianogen.errors import SettingError
from pianogen.parsing import Parser, settings_of
from pianogen.verbs.out import out_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `evaluate`."""
    parser.add_argument(
        "runs", type=str, nargs="+", help="Run folders, their URLs, or pretrained; compared if several."
    )
    parser.add_argument(
        "--files", type=str, nargs="+", help="Score these MIDI files, scores, or folders of them, instead of splits."
    )
    parser.add_argument(
        "--out", type=str, help="With --files: a folder for the scores and for where the model is surprised."
    )
    parser.add_class_arguments(EvaluateConfig)


def run(arguments: Namespace) -> None:
    """Score runs, fetching those that are URLs."""
    if arguments.out is not None and not arguments.files:
        raise SettingError("setting 'out' goes with --files; the results of splits are written to RUN/evaluation")
    out = None if arguments.out is None else Path(out_of(arguments))
    config = settings_of(EvaluateConfig, arguments)

    from pianogen.evaluation import evaluate, evaluate_files
    from pianogen.runs import local_run

    runs = [local_run(name, config.checkpoint) for name in arguments.runs]
    if arguments.files:
        evaluate_files(runs, arguments.files, config, out)
    else:
        evaluate(runs, config)
