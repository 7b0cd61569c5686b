"""`pianogen render`: sound and pictures of music files."""

from pathlib import Path

from jsonargparse import Namespace

from pianogen.config import RenderConfig
from pianogen.errors import SettingError
from pianogen.parsing import Parser, settings_of
from pianogen.verbs.out import out_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `render`."""
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_argument("files", type=str, nargs="+", help="MIDI files, scores, or folders of them.")
    parser.add_argument("--out", type=str, required=True, help="Folder for the files that are made.")
    parser.add_class_arguments(RenderConfig)


def run(arguments: Namespace) -> None:
    """Render the files, and say where the result is."""
    from pianogen.render.job import render

    out = out_of(arguments)
    if "" in arguments.files:  # as of a shell variable that is not set; it must not mean the present folder
        raise SettingError("one of FILES is empty; name MIDI files, scores or folders of them")
    num = render([Path(name) for name in arguments.files], Path(out), settings_of(RenderConfig, arguments))
    print(f"{num} {'file' if num == 1 else 'files'} rendered to {out}")
