"""`pianogen tokens`: print the tokens of one performance, or decode tokens."""

import sys
from pathlib import Path

from jsonargparse import Namespace

from pianogen.config import TokenizerConfig
from pianogen.parsing import Parser


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `tokens`."""
    parser.add_argument("file", type=str, help="A MIDI file or score, or with --to a text of words.")
    parser.add_argument("--ids", action="store_true", help="Print numbers instead of words.")
    parser.add_argument("--to", type=str, help="Decode FILE, words or ids, into this MIDI or MusicXML file.")
    parser.add_class_arguments(TokenizerConfig, "tokenizer")


def run(arguments: Namespace) -> None:
    """Encode or decode one file."""
    from pianogen.tokens import text

    path = Path(arguments.file)
    if arguments.to:
        num_notes = text.decode_file(path, Path(arguments.to), arguments.tokenizer)
        print(f"{num_notes} notes in {arguments.to}")
        return
    ids, report = text.encode_file(path, arguments.tokenizer)
    print(text.line_of(ids, as_ids=arguments.ids))
    print(text.report_line(report), file=sys.stderr)
