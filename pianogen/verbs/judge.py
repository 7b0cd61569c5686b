"""`pianogen judge`: measure pieces and compare them with real music."""

from pathlib import Path

from jsonargparse import Namespace

from pianogen.config import JudgeConfig
from pianogen.parsing import Parser, settings_of
from pianogen.verbs.out import out_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `judge`."""
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_argument(
        "pieces",
        type=str,
        nargs="+",
        help="Folders of pieces, each a set to compare: of `pianogen generate`, or of any MIDI files and scores. "
        "NAME=FOLDER names a set; single files are one set.",
    )
    parser.add_argument("--out", type=str, required=True, help="Folder for judge.html and judge.json.")
    parser.add_class_arguments(JudgeConfig)


def run(arguments: Namespace) -> None:
    """Write the report, print its table, and say where it is."""
    out = Path(out_of(arguments))

    from pianogen.judge.job import judge
    from pianogen.judge.table import print_table

    print_table(judge(arguments.pieces, out, settings_of(JudgeConfig, arguments)))
    print(f"{out / 'judge.html'}  {out / 'judge.json'}")
