"""`pianogen shards`: make shards of MAESTRO, a folder of music or the built-in corpus."""

from pathlib import Path

from jsonargparse import Namespace

from pianogen.config import ShardsConfig
from pianogen.parsing import Parser, settings_of
from pianogen.verbs.out import out_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `shards`."""
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_argument("source", type=str, help="corpus, maestro, or a folder of MIDI files or scores.")
    parser.add_argument("--out", type=str, required=True, help="Folder for the shards.")
    parser.add_class_arguments(ShardsConfig)


def run(arguments: Namespace) -> None:
    """Make shards, or read one part of their sources."""
    import shards.build

    print(shards.build.run(arguments.source, Path(out_of(arguments)), settings_of(ShardsConfig, arguments)))
