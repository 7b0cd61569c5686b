"""The one human interface, `pianogen VERB`: parse, call one library function, print one short result.

Importing this loads no torch, music21, mlflow or accelerate, so `--help` answers at once.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jsonargparse import Namespace

from pianogen import __version__
from pianogen.config import EvaluateConfig, GenerateConfig, ShardsConfig, SweepConfig, TokenizerConfig, TrainConfig
from pianogen.errors import PianogenError, SettingError
from pianogen.parsing import Parser, settings_of


@dataclass(frozen=True)
class Verb:
    """One thing that pianogen does: its help line, its arguments, and what runs it."""

    help: str
    add_arguments: Callable[[Parser], None]
    run: Callable[[Namespace], None]


# what may be a URL; anywhere else it would be taken for a folder of that strange name
_MAY_BE_URL = {
    *(("train", "shards"), ("sweep", "shards"), ("evaluate", "shards")),
    *(("evaluate", "runs"), ("generate", "runs"), ("generate", "out"), ("track", "to")),
}
_INSTEAD = {
    ("train", "out"): "train to disk, then copy the run: pianogen track sync RUN --to URL",
    ("sweep", "out"): "sweep on a disk that all workers share, then copy runs: pianogen track sync RUN --to URL",
    ("shards", "out"): "make them on disk, then copy the folder there, its manifest.json last",
}


def _check_urls(arguments: Namespace, argv: Sequence[str]) -> None:
    """Refuse URLs where none can be, and those that a file names: we go only where the user's own words send us."""
    from pianogen.storage import Address, is_url

    verb = arguments.verb
    for name, value in arguments[verb].items():
        for url in value if isinstance(value, list) else [value]:
            if not isinstance(url, str) or not is_url(url) or (verb, name) == ("submit", "arguments"):
                continue
            Address.parse(url)
            if (verb, name) not in _MAY_BE_URL:
                instead = _INSTEAD.get((verb, name), "fetch it first, or leave it out")
                raise SettingError(f"setting '{name}' is {url!r}, but it must lie on this machine; {instead}")
            if not any(word == url or word.endswith(f"={url}") for word in argv):
                raise SettingError(
                    f"setting '{name}' is {url!r} in a file, but a URL must stand in the command itself: --{name} {url}"
                )


def _out(arguments: Namespace) -> str:
    """The folder to write to: an empty name, as of a shell variable that is not set, must not mean the present one."""
    if not arguments.out:
        raise SettingError("setting 'out' is empty; name a folder to write to")
    return arguments.out


def _add_tokens(parser: Parser) -> None:
    parser.add_argument("file", type=str, help="A MIDI file or score, or with --to a text of words.")
    parser.add_argument("--ids", action="store_true", help="Print numbers instead of words.")
    parser.add_argument("--to", type=str, help="Decode FILE, words or ids, into this MIDI or MusicXML file.")
    parser.add_class_arguments(TokenizerConfig, "tokenizer")


def _tokens(arguments: Namespace) -> None:
    from pianogen.tokens import text

    path = Path(arguments.file)
    if arguments.to:
        num_notes = text.decode_file(path, Path(arguments.to), arguments.tokenizer)
        print(f"{num_notes} notes in {arguments.to}")
        return
    ids, report = text.encode_file(path, arguments.tokenizer)
    print(text.line_of(ids, as_ids=arguments.ids))
    print(text.report_line(report), file=sys.stderr)


def _add_shards(parser: Parser) -> None:
    parser.add_argument("--config", action="config")
    parser.add_argument("source", type=str, help="corpus, maestro, or a folder of MIDI files or scores.")
    parser.add_argument("--out", type=str, required=True, help="Folder for the shards.")
    parser.add_class_arguments(ShardsConfig)


def _shards(arguments: Namespace) -> None:
    from shards.build import run

    print(run(arguments.source, Path(_out(arguments)), settings_of(ShardsConfig, arguments)))


def _add_train(parser: Parser) -> None:
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_class_arguments(TrainConfig)


def _train(arguments: Namespace) -> None:
    from pianogen.train import train

    if train(settings_of(TrainConfig, arguments)) == "stopped":
        from pianogen.train.requeue import exit_unfinished

        exit_unfinished()  # the very last: Slurm ends the job as soon as it is asked for another life


def _add_sweep(parser: Parser) -> None:
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_argument("space", type=str, help="A YAML file of what to search; what it fixes wins over flags.")
    parser.add_class_arguments(SweepConfig)
    parser.add_class_arguments(TrainConfig)


def _sweep(arguments: Namespace) -> None:
    from pianogen.sweep import sweep

    if sweep(Path(arguments.space), settings_of(TrainConfig, arguments), settings_of(SweepConfig, arguments)):
        from pianogen.train.requeue import UNFINISHED_STATUS

        raise SystemExit(UNFINISHED_STATUS)


def _add_evaluate(parser: Parser) -> None:
    parser.add_argument("runs", type=str, nargs="+", help="Run folders or their URLs; several are compared.")
    parser.add_class_arguments(EvaluateConfig)


def _evaluate(arguments: Namespace) -> None:
    from pianogen.evaluate import evaluate
    from pianogen.runs import local_run

    config = settings_of(EvaluateConfig, arguments)
    evaluate([local_run(run, config.checkpoint) for run in arguments.runs], config)


def _add_generate(parser: Parser) -> None:
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_argument("runs", type=str, nargs="+", help="Run folders of trained models, or their URLs.")
    parser.add_argument("--out", type=str, required=True, help="Folder for the pieces, or an s3:// or gs:// URL.")
    parser.add_class_arguments(GenerateConfig)


def _generate(arguments: Namespace) -> None:
    from pianogen.generate import generate_at
    from pianogen.runs import local_run

    out, config = _out(arguments), settings_of(GenerateConfig, arguments)
    num = generate_at([local_run(run, config.checkpoint) for run in arguments.runs], out, config)
    page = f"{out.rstrip('/')}/index.html"
    where = f"{out}, one page of all: {page}" if config.part is None else f"{out} (part {config.part})"
    print(f"{num} pieces in {where}")


def _add_track(parser: Parser) -> None:
    parser.add_argument("action", type=Literal["ui", "sync"], help="ui: open MLflow; sync: mirror or copy runs.")
    parser.add_argument("runs", type=str, nargs="*", help="Run folders; for ui, the folder of runs.")
    parser.add_argument("--to", type=str, help="For sync: copy finished runs below this URL instead of to MLflow.")
    parser.add_argument("--port", type=int, default=5000, help="Port of the UI.")


def _track(arguments: Namespace) -> None:
    from pianogen import track

    runs = [Path(run) for run in arguments.runs]
    if arguments.action == "ui":
        track.ui(runs[0] if runs else Path("runs"), arguments.port)
    elif not runs:
        raise SettingError("track sync needs at least one run folder: pianogen track sync RUN")
    elif arguments.to is not None:
        _copy(runs, arguments.to)
    else:
        for run in runs:
            print(track.sync(run))


def _copy(runs: Sequence[Path], url: str) -> None:
    from pianogen.runs import store_runs

    for stored in store_runs(runs, url):
        print(f"{stored.run}: {stored.num_files} files ({stored.num_bytes / 1e6:.1f} MB) copied to {stored.url}")


def _add_demo(parser: Parser) -> None:
    parser.add_argument("--out", type=str, default="runs/demo", help="Folder for everything the demo makes.")
    parser.add_argument("--seconds", type=float, default=60.0, help="Training time of each model.")
    parser.add_argument("--workers", type=int, default=2, help="Processes that read scores.")


def _demo(arguments: Namespace) -> None:
    from pianogen.demo import demo

    demo(Path(arguments.out), seconds=arguments.seconds, workers=arguments.workers)


def _add_submit(parser: Parser) -> None:
    from launch.command import add_arguments

    add_arguments(parser)


def _submit(arguments: Namespace) -> None:
    from launch.command import run

    run(arguments, main=main, parse=_parse)


VERBS = {
    "tokens": Verb("print the tokens of a performance, or decode tokens", _add_tokens, _tokens),
    "shards": Verb("turn MAESTRO, a folder of music or the built-in corpus into shards", _add_shards, _shards),
    "train": Verb("train an RNN, an LSTM or an LSTM with attention", _add_train, _train),
    "sweep": Verb("search settings, by trials that any number of workers share", _add_sweep, _sweep),
    "evaluate": Verb("score runs by precision, recall, F1 and NLL, beside baselines", _add_evaluate, _evaluate),
    "generate": Verb("write pieces, from nothing or from a prompt", _add_generate, _generate),
    "submit": Verb("run a verb on a cluster, or show how a run goes", _add_submit, _submit),
    "track": Verb("look at runs in MLflow", _add_track, _track),
    "demo": Verb("see all of it in minutes, on music that ships with music21", _add_demo, _demo),
}


class _Debug(argparse.Action):
    """The flag --debug, which is no setting: no config file and no record of a run holds it."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, *_: object) -> None:
        """Change nothing: `main` has looked for the flag, since an error may come before it is parsed."""


def build_parser() -> Parser:
    """Make the parser of every verb."""
    parser = Parser(prog="pianogen", description="Human piano performances into models that write piano music.")
    parser.add_argument("--version", action="version", version=f"pianogen {__version__}")
    subparsers = parser.add_subcommands(dest="verb", required=True)
    for name, verb in VERBS.items():
        subparser = Parser(description=verb.help.capitalize() + ".")
        verb.add_arguments(subparser)
        subparser.add_argument("--debug", action=_Debug, help="Show the whole traceback of an error, with its causes.")
        subparsers.add_subcommand(name, subparser, help=verb.help)
    return parser


def _parse(argv: Sequence[str] | None) -> Namespace:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    _check_urls(arguments, sys.argv[1:] if argv is None else argv)
    return parser.instantiate(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; a user's mistake becomes one line on stderr and exit status 2."""
    # before torch loads: threads that spin while they wait made a busy machine twenty times slower than one thread
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = _parse(argv)
        VERBS[arguments.verb].run(arguments[arguments.verb])
    except BrokenPipeError:  # the reader of our stdout, such as `head`, has seen enough
        sys.stderr.close()
        return 141
    except (PianogenError, KeyboardInterrupt, OSError) as error:
        if _wants_traceback(words):
            traceback.print_exc()
        return _say(error)
    return 0


def _wants_traceback(words: Sequence[str]) -> bool:
    return "--debug" in words or os.environ.get("PIANOGEN_TRACEBACK", "0") not in ("", "0")


def _say(error: PianogenError | KeyboardInterrupt | OSError) -> int:
    """Print the one line about an error and return the exit status."""
    if isinstance(error, KeyboardInterrupt):
        print("pianogen: interrupted; the same command goes on", file=sys.stderr)
        return 130
    if isinstance(error, PianogenError):
        print(f"pianogen: {error}", file=sys.stderr)
        return 2
    # a full disk, a folder that may not be written: no mistake of the program's
    where = f" ({error.filename})" if error.filename is not None else ""
    print(f"pianogen: {error.strerror or error}{where}; mend that, and the same command goes on", file=sys.stderr)
    return 2
