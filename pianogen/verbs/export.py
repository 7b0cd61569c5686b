"""`pianogen export`: write a shareable folder of a run."""

from pathlib import Path

from jsonargparse import Namespace

from pianogen.parsing import Parser
from pianogen.verbs.out import out_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `export`."""
    parser.add_argument("run", type=str, help="A run folder, its URL, or pretrained.")
    parser.add_argument("--out", type=str, required=True, help="Folder to write; new or empty.")
    parser.add_argument(
        "--checkpoint", type=str, default="best", help="best (lowest validation loss), last, or a step."
    )


def run(arguments: Namespace) -> None:
    """Write the folder, and say how to use it."""
    out = out_of(arguments)

    from pianogen.runs import local_run
    from pianogen.runs.exporting import export

    made = export(local_run(arguments.run, arguments.checkpoint), Path(out), arguments.checkpoint)
    num_bytes = sum(file.stat().st_size for file in made.path.rglob("*") if file.is_file())
    print(f"{out}: {num_bytes / 1e6:.1f} MB, its model card in README.md; try: pianogen generate {out} --out pieces")
