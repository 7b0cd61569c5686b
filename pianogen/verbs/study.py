"""`pianogen study ACTION`: from models to ratings by people."""

from pathlib import Path

from jsonargparse import Namespace

from pianogen.config import StudyNewConfig
from pianogen.errors import SettingError
from pianogen.parsing import Parser, settings_of


def add_arguments(parser: Parser) -> None:
    """Declare the actions of `study`, each with its own arguments."""
    actions = parser.add_subcommands(dest="action", required=True)
    for name, (help_line, declare, _) in _ACTIONS.items():
        action = Parser(description=help_line.capitalize() + ".")
        actions.add_subcommand(name, action, help=help_line)
        action.add_argument("dir", type=str, help="The study's folder.")
        declare(action)


def run(arguments: Namespace) -> None:
    """Do what the action says."""
    of_action = arguments[arguments.action]
    if not of_action.dir:
        raise SettingError("setting 'dir' is empty; name the study's folder")
    _ACTIONS[arguments.action][2](Path(of_action.dir), of_action)


def _declare_new(parser: Parser) -> None:
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_argument(
        "--models",
        type=str,
        nargs="+",
        required=True,
        help="Run folders, their URLs, or pretrained, from the one that is expected to be worst.",
    )
    parser.add_class_arguments(StudyNewConfig)


def _new(folder: Path, arguments: Namespace) -> None:
    """Make a study, and say what it is."""
    from pianogen.study.new import new_study
    from pianogen.study.summary import print_summary

    print_summary(folder, new_study(folder, arguments.models, settings_of(StudyNewConfig, arguments)))


_ACTIONS = {
    "new": ("choose pieces, make the clips, and write down the design", _declare_new, _new),
}
