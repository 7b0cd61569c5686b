"""`pianogen study ACTION`: from models to ratings by people."""

from pathlib import Path

from jsonargparse import Namespace

from pianogen.config import StudyNewConfig, StudyServeConfig, StudySimulateConfig
from pianogen.errors import SettingError
from pianogen.parsing import Parser, sentence, settings_of


def add_arguments(parser: Parser) -> None:
    """Declare the actions of `study`, each with its own arguments."""
    actions = parser.add_subcommands(dest="action", required=True)
    for name, (help_line, declare, _) in _ACTIONS.items():
        action = Parser(description=sentence(help_line))
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


def _declare_serve(parser: Parser) -> None:
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_argument(
        "--public",
        type=str,
        nargs="*",
        default=[],
        metavar="NAME",
        help="Names under which others reach it, such as study.example.org; the page of results gets a password.",
    )
    parser.add_class_arguments(StudyServeConfig, skip={"public"})


def _serve(folder: Path, arguments: Namespace) -> None:
    """Serve a study until it is told to stop."""
    from pianogen.study.serve import serve_study

    serve_study(folder, settings_of(StudyServeConfig, arguments))


def _declare_results(parser: Parser) -> None:
    parser.add_argument("--key", type=str, help="The study's key.json, if it was moved away, with the folder key.")


def _results(folder: Path, arguments: Namespace) -> None:
    """Analyse the answers so far."""
    from pianogen.study.folder import StudyFolder
    from pianogen.study.results import results
    from pianogen.study.results_table import print_results

    print_results(results(StudyFolder(folder), None if arguments.key is None else Path(arguments.key)))


def _declare_simulate(parser: Parser) -> None:
    parser.add_class_arguments(StudySimulateConfig)


def _simulate(folder: Path, arguments: Namespace) -> None:
    """Let a program rate a copy of the study."""
    from pianogen.study.folder import StudyFolder
    from pianogen.study.simulated import simulate_study

    copy = simulate_study(StudyFolder(folder), settings_of(StudySimulateConfig, arguments))
    print(f"{copy.path}: simulated ratings\npianogen study results {copy.path}")


_ACTIONS = {
    "new": ("choose pieces, make the clips, and write down the design", _declare_new, _new),
    "serve": ("let raters listen and rate in their browsers", _declare_serve, _serve),
    "results": ("draw Figure 6, test the hypotheses, and write tables", _declare_results, _results),
    "simulate": ("let simulated raters answer a copy through the server", _declare_simulate, _simulate),
}
