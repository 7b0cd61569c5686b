"""The command line `pianogen VERB`: the registry of verbs, and the handling of their errors.

Importing this loads no verb, and so no settings, torch, music21, mlflow or accelerate: `--help` answers at once, and a
command imports what its own verb needs.
"""

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Any

from jsonargparse import Namespace

from pianogen import __version__
from pianogen.errors import PianogenError, SettingError
from pianogen.parsing import Parser, sentence

VERBS = {
    "tokens": "print the tokens of a performance, or decode tokens",
    "shards": "make shards of MAESTRO, a folder or the built-in corpus",
    "train": "train an RNN, an LSTM or an LSTM with attention",
    "sweep": "search settings, by trials that any number of workers share",
    "evaluate": "score runs by precision, recall, F1 and NLL, beside baselines",
    "generate": "write pieces, from nothing or from a prompt",
    "judge": "measure how far pieces are from real music, and write a report",
    "study": "let people rate pieces beside real music",
    "export": "write a folder of a run to share: weights, settings and a model card",
    "render": "make sound, scores and pictures of MIDI files and scores",
    "play": "open a page to play with models, and an HTTP API",
    "submit": "run a command on a cluster, or show the state of a run",
    "track": "browse runs in MLflow, mirror or copy them",
    "reproduce": "train and score the runs of a plan, and write their tables as a page",
    "demo": "see every step in minutes, on music that ships with music21",
}
"""The verbs and their help lines; `pianogen.verbs` has a module of each name."""


# settings that may be URLs; elsewhere a URL would be used as the name of a folder
_MAY_BE_URL = {
    *(("train", "shards"), ("sweep", "shards"), ("evaluate", "shards"), ("train", "init"), ("sweep", "init")),
    *(("export", "run"), ("judge", "reference")),
    *(("study", "new.models"), ("study", "new.reference")),
    *(("evaluate", "runs"), ("generate", "runs"), ("generate", "out"), ("track", "to")),
    ("play", "models"),
}
_INSTEAD = {
    ("train", "out"): "train to disk, then copy the run: pianogen track sync RUN --to URL",
    ("sweep", "out"): "sweep on a disk that all workers share, then copy runs: pianogen track sync RUN --to URL",
    ("reproduce", "out"): "work on disk, then copy runs: pianogen track sync RUN --to URL",
    ("shards", "out"): "make them on disk, then copy the folder there, its manifest.json last",
}


def _check_urls(arguments: Namespace, argv: Sequence[str]) -> None:
    """Refuse URLs in other settings, and URLs from files: only a URL on the command line itself is followed."""
    from pianogen.storage import Address, is_url

    verb = arguments.verb
    action = arguments[verb].get("action")
    for name, value in arguments[verb].items():
        flag = name.removeprefix(f"{action}.")
        for url in value if isinstance(value, list) else [value]:
            if not isinstance(url, str) or not is_url(url) or (verb, name) == ("submit", "arguments"):
                continue
            Address.parse(url)
            if (verb, name) not in _MAY_BE_URL:
                instead = _INSTEAD.get((verb, name), "fetch it first, or leave it out")
                raise SettingError(f"setting '{flag}' is {url!r}, but it must be a local path; {instead}")
            if not any(word == url or word.endswith(f"={url}") for word in argv):
                raise SettingError(
                    f"setting '{flag}' is {url!r} in a file, but a URL must be on the command line: --{flag} {url}"
                )


def _module(verb: str) -> Any:
    return importlib.import_module(f"pianogen.verbs.{verb}")


class _Debug(argparse.Action):
    """The flag --debug, which is not a setting: it is in no config file and no record of a run."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, *_: object) -> None:
        """Do nothing: `main` searches the arguments for the flag, since an error may precede parsing."""


def build_parser(verbs: Container[str] = VERBS) -> Parser:
    """Create the parser of the command line, with the arguments of these verbs, by default of all."""
    parser = Parser(prog="pianogen", description="Train models on human piano performances and generate piano music.")
    parser.add_argument("--version", action="version", version=f"pianogen {__version__}")
    subparsers = parser.add_subcommands(dest="verb", required=True)
    for name, help_line in VERBS.items():
        subparser = Parser(description=sentence(help_line))
        subparsers.add_subcommand(name, subparser, help=help_line)  # first: it may get subcommands of its own
        if name in verbs:
            _module(name).add_arguments(subparser)
        for parent in (subparser, *subparser.actions()):
            parent.add_argument("--debug", action=_Debug, help="Show the whole traceback of an error, with its causes.")
    return parser


def _parse(argv: Sequence[str]) -> Namespace:
    """Read a command line with the arguments of its own verb; an error is explained with those of all verbs."""
    with suppress(SettingError):
        return _parse_with(build_parser([word for word in argv[:1] if word in VERBS]), argv)
    return _parse_with(build_parser(), argv)


def _parse_with(parser: Parser, argv: Sequence[str]) -> Namespace:
    arguments = parser.parse_args(argv)
    _check_urls(arguments, argv)
    return parser.instantiate(arguments)


def _canonical(words: Sequence[str]) -> list[str]:
    """Replace other common ways to ask for the version or for help by --version and --help."""
    match list(words):
        case ["-V" | "version"]:
            return ["--version"]
        case [verb, "--version" | "-V"] if verb in VERBS:
            return ["--version"]
        case ["help", *verb] if len(verb) <= 1:
            return [*verb, "--help"]
        case others:
            return others


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; a user's mistake becomes one line on stderr and exit status 2."""
    # before torch loads: threads that spin while waiting made a busy machine twenty times slower than one thread
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # huge pages: large tensors are mapped again in every step, and a fault for each 4 kB takes up to a tenth of it
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    words = _canonical(sys.argv[1:] if argv is None else argv)
    try:
        arguments = _parse(words)
        _run(arguments.verb, arguments[arguments.verb], words)
    except BrokenPipeError:  # the reader of stdout, such as `head`, has closed it
        sys.stderr.close()
        return 141
    except (PianogenError, KeyboardInterrupt, OSError) as error:
        if _wants_traceback(words):
            traceback.print_exc()
        return _say(error)
    return 0


def _run(verb: str, arguments: Namespace, words: Sequence[str]) -> None:
    command_line: dict[str, Any] = {}
    if verb == "submit":  # it runs and checks the command lines of other verbs
        command_line = {"main": main, "parse": _parse}
    elif verb == "train":
        command_line = {"given": lambda: _given(verb, words)}
    _module(verb).run(arguments, **command_line)


def _given(verb: str, words: Sequence[str]) -> set[str]:
    """The dotted names of the settings that a command line and its config files give; others have their defaults."""
    return set(build_parser([verb]).parse_args(words, defaults=False)[verb].keys())


def _wants_traceback(words: Sequence[str]) -> bool:
    return "--debug" in words or os.environ.get("PIANOGEN_TRACEBACK", "0") not in ("", "0")


def _say(error: PianogenError | KeyboardInterrupt | OSError) -> int:
    """Print an error in one line and return the exit status."""
    if isinstance(error, KeyboardInterrupt):
        print("pianogen: interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    if isinstance(error, PianogenError):
        print(f"pianogen: {error}", file=sys.stderr)
        return 2
    # a full disk or a missing permission, not a fault of the program
    where = f" ({error.filename})" if error.filename is not None else ""
    print(
        f"pianogen: {error.strerror or error}{where}; fix this and run the same command again to resume",
        file=sys.stderr,
    )
    return 2
