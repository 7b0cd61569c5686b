"""`pianogen play`: a page to play with models, and its HTTP API."""

from jsonargparse import Namespace

from pianogen.config import PlayConfig
from pianogen.parsing import Parser, settings_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `play`."""
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_class_arguments(PlayConfig, skip={"models", "public"})
    defaults = PlayConfig()
    parser.add_argument(
        "--models",
        type=str,
        nargs="+",
        default=defaults.models,
        help="Run folders of trained models, their URLs, or pretrained; the first one is the page's default.",
    )
    parser.add_argument(
        "--public",
        type=str,
        nargs="+",
        default=defaults.public,
        help="Names under which others reach the server, such as play.example.org; needed with --host.",
    )


def run(arguments: Namespace) -> None:
    """Serve the page until Ctrl-C."""
    from pianogen.play import play

    play(settings_of(PlayConfig, arguments))
