"""The command line `pianogen VERB`: the registry of verbs, and how their errors are reported.

Importing this loads no torch, music21, mlflow or accelerate, so that `--help` is fast.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jsonargparse import Namespace

from pianogen import __version__
from pianogen.errors import PianogenError, SettingError
from pianogen.parsing import Parser
from pianogen.verbs import demo, evaluate, generate, shards, submit, sweep, tokens, track, train


@dataclass(frozen=True)
class Verb:
    """One subcommand: its help line, its arguments and the function that runs it."""

    help: str
    add_arguments: Callable[[Parser], None]
    run: Callable[[Namespace], None]


# settings that accept a URL; any other setting would take it for a local path
_MAY_BE_URL = {
    *(("train", "shards"), ("sweep", "shards"), ("evaluate", "shards")),
    *(("evaluate", "runs"), ("generate", "runs"), ("generate", "out"), ("track", "to")),
}
_INSTEAD = {
    ("train", "out"): "train to a local folder, then copy the run: pianogen track sync RUN --to URL",
    ("sweep", "out"): "sweep in a folder that all workers share, then copy runs: pianogen track sync RUN --to URL",
    ("shards", "out"): "write to a local folder, then upload it, manifest.json last",
}


def _check_urls(arguments: Namespace, argv: Sequence[str]) -> None:
    """Refuse URLs in settings that need a local path, and URLs from config files: only typed URLs are fetched."""
    from pianogen.storage import Address, is_url

    verb = arguments.verb
    for name, value in arguments[verb].items():
        for url in value if isinstance(value, list) else [value]:
            if not isinstance(url, str) or not is_url(url) or (verb, name) == ("submit", "arguments"):
                continue
            Address.parse(url)
            if (verb, name) not in _MAY_BE_URL:
                instead = _INSTEAD.get((verb, name), "download it first, or leave the setting out")
                raise SettingError(f"setting '{name}' is {url!r}, but it must be a local path; {instead}")
            if not any(word == url or word.endswith(f"={url}") for word in argv):
                raise SettingError(
                    f"setting '{name}' is {url!r} in a file, but a URL must be typed on the command line: "
                    f"--{name} {url}"
                )


VERBS = {
    "tokens": Verb("print the tokens of a performance, or decode tokens", tokens.add_arguments, tokens.run),
    "shards": Verb("make shards of MAESTRO, a folder or the built-in corpus", shards.add_arguments, shards.run),
    "train": Verb("train an RNN, an LSTM or an LSTM with attention", train.add_arguments, train.run),
    "sweep": Verb("search hyperparameters with any number of parallel workers", sweep.add_arguments, sweep.run),
    "evaluate": Verb("score runs and baselines by precision, recall, F1 and NLL", evaluate.add_arguments, evaluate.run),
    "generate": Verb("generate pieces, with or without a prompt", generate.add_arguments, generate.run),
    "submit": Verb(
        "submit a command to a cluster, or show the state of a run",
        submit.add_arguments,
        lambda arguments: submit.run(arguments, main=main, parse=_parse),
    ),
    "track": Verb("browse runs in MLflow, mirror or copy them", track.add_arguments, track.run),
    "demo": Verb("run every step in minutes, on the corpus included in music21", demo.add_arguments, demo.run),
}


class _Debug(argparse.Action):
    """The flag --debug; not a setting, so it is in no config file and not recorded with a run."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, *_: object) -> None:
        """Do nothing: `main` looks for the flag itself, since errors may occur before it is parsed."""


def build_parser() -> Parser:
    """Build the parser of all verbs."""
    parser = Parser(prog="pianogen", description="Train piano music models on human performances.")
    parser.add_argument("--version", action="version", version=f"pianogen {__version__}")
    subparsers = parser.add_subcommands(dest="verb", required=True)
    for name, verb in VERBS.items():
        subparser = Parser(description=verb.help.capitalize() + ".")
        verb.add_arguments(subparser)
        subparser.add_argument("--debug", action=_Debug, help="Show the full traceback of an error, with its causes.")
        subparsers.add_subcommand(name, subparser, help=verb.help)
    return parser


def _parse(argv: Sequence[str] | None) -> Namespace:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    _check_urls(arguments, sys.argv[1:] if argv is None else argv)
    return parser.instantiate(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; a user's mistake is reported in one line on stderr, with exit status 2."""
    # set before torch loads: on a busy machine, spinning threads were twenty times slower than one thread
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = _parse(argv)
        VERBS[arguments.verb].run(arguments[arguments.verb])
    except BrokenPipeError:  # the reader of stdout, such as `head`, has exited
        sys.stderr.close()
        return 141
    except (PianogenError, KeyboardInterrupt, OSError) as error:
        if _wants_traceback(words):
            traceback.print_exc()
        return _report(error)
    return 0


def _wants_traceback(words: Sequence[str]) -> bool:
    return "--debug" in words or os.environ.get("PIANOGEN_TRACEBACK", "0") not in ("", "0")


def _report(error: PianogenError | KeyboardInterrupt | OSError) -> int:
    """Print an error in one line and return the exit status."""
    if isinstance(error, KeyboardInterrupt):
        print("pianogen: interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    if isinstance(error, PianogenError):
        print(f"pianogen: {error}", file=sys.stderr)
        return 2
    # such as a full disk or a folder without write permission
    where = f" ({error.filename})" if error.filename is not None else ""
    print(
        f"pianogen: {error.strerror or error}{where}; fix this and run the same command again to resume",
        file=sys.stderr,
    )
    return 2
