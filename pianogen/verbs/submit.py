"""`pianogen submit`: run a verb on a cluster, or show the status of a run."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from jsonargparse import Namespace

from launch.settings import SubmitConfig, Verb
from pianogen.config import EvaluateConfig, GenerateConfig, ReproduceConfig, ShardsConfig, TrainConfig
from pianogen.errors import SettingError
from pianogen.parsing import Parser, settings_of

Main = Callable[[Sequence[str]], int]
Parse = Callable[[Sequence[str]], Namespace]
_VERBS = get_args(Verb)
_SETTINGS: dict[Verb, type] = {
    "train": TrainConfig,
    "shards": ShardsConfig,
    "generate": GenerateConfig,
    "evaluate": EvaluateConfig,
    "sweep": TrainConfig,
    "reproduce": ReproduceConfig,
}
_DIVISIBLE = ("shards", "generate", "sweep", "reproduce")


def add_arguments(parser: Parser) -> None:
    """Declare the cluster options, then a verb and its arguments."""
    parser.add_class_arguments(SubmitConfig, skip={"dry_run"})
    parser.add_argument("--dry_run", action="store_true", help="Print the batch file instead of submitting it.")
    parser.add_argument("job", type=str, help=f"{', '.join(_VERBS)}; or status, and a run folder.")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="The verb's own arguments, as without submit.")


def run(arguments: Namespace, *, main: Main, parse: Parse) -> None:
    """Submit a verb, or show the status of a run; `main` and `parse` are those of the command line.

    Raises:
        SettingError: The verb cannot be submitted, or its arguments are invalid.
        LaunchError: The job cannot be submitted, or the run has no job and has not started.
    """
    config = settings_of(SubmitConfig, arguments)
    job, words = arguments.job, list(arguments.arguments)
    if job == "status":
        print(_status(words, Path(config.jobs)))
    elif job in _VERBS:
        _submit(config, job, words, main, parse)
    else:
        raise SettingError(f"{job!r} cannot be submitted; choose from {', '.join(_VERBS)}; or status RUN")


def _submit(config: SubmitConfig, verb: Verb, words: Sequence[str], main: Main, parse: Parse) -> None:
    from launch.submit import batch_files, submissions, submit

    if config.array > 1 and verb not in _DIVISIBLE:
        raise SettingError(f"setting 'array' is {config.array}, but only {', '.join(_DIVISIBLE)} can be divided")
    target = ""
    for _, commands in submissions(config, verb, words):
        target = _target(verb, parse(commands[0])[verb])
    if config.dry_run:
        print(batch_files(config, verb, words))
    elif config.cluster != "debug":
        print(submit(config, verb, words, target))
    elif status := main([verb, *words]):
        raise SystemExit(status)


def _target(verb: Verb, arguments: Namespace) -> str:
    """Check a verb's arguments; return the folder that it works on, by which `status` finds the job."""
    settings = settings_of(_SETTINGS[verb], arguments)
    if isinstance(settings, TrainConfig) and not (settings.shards and settings.out):
        raise SettingError(f"{verb} needs --shards DIR and --out FOLDER")
    if isinstance(settings, ReproduceConfig):
        from pianogen.reproduce.plan_file import read_plan

        read_plan(Path(settings.plan))
    return arguments.runs[0] if verb == "evaluate" else arguments.out


def _status(words: Sequence[str], jobs: Path) -> str:
    from launch.status import status

    if len(words) != 1 or words[0].startswith("-"):
        raise SettingError("status takes one run folder: pianogen submit status RUN")
    return status(Path(words[0]), jobs)
