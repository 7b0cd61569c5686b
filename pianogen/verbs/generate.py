"""`pianogen generate`: write pieces."""

from jsonargparse import Namespace

from pianogen.config import GenerateConfig
from pianogen.parsing import Parser, settings_of
from pianogen.verbs.out import out_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `generate`."""
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_argument("runs", type=str, nargs="+", help="Run folders of trained models, or their URLs.")
    parser.add_argument("--out", type=str, required=True, help="Folder for the pieces, or an s3:// or gs:// URL.")
    parser.add_class_arguments(GenerateConfig)


def run(arguments: Namespace) -> None:
    """Write the pieces, and say where they are."""
    from pianogen.generation import generate_at
    from pianogen.runs import local_run

    out, config = out_of(arguments), settings_of(GenerateConfig, arguments)
    num = generate_at([local_run(name, config.checkpoint) for name in arguments.runs], out, config)
    page = f"{out.rstrip('/')}/index.html"
    where = f"{out}, one page of all: {page}" if config.part is None else f"{out} (part {config.part})"
    print(f"{num} pieces in {where}")
