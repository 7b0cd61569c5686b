"""`pianogen tokens`: print the tokens of one performance, or decode tokens."""

import sys
from pathlib import Path

from jsonargparse import Namespace

from pianogen.config import TokenizerConfig
from pianogen.parsing import Parser


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `tokens`."""
    parser.add_argument("file", type=str, help="A MIDI file or score, or with --to a text file of words or ids.")
    parser.add_argument("--ids", action="store_true", help="Print ids instead of words.")
    parser.add_argument("--to", type=str, help="Decode FILE into this MIDI or MusicXML file.")
    parser.add_class_arguments(TokenizerConfig, "tokenizer")


def run(arguments: Namespace) -> None:
    """Encode or decode one file."""
    from pianogen.tokens import read_performance, text, tokenize

    path = Path(arguments.file)
    if arguments.to:
        num_notes = text.decode_file(path, Path(arguments.to), arguments.tokenizer)
        print(f"{num_notes} notes in {arguments.to}")
        return
    ids, report = tokenize(read_performance(path), arguments.tokenizer)
    print(text.format_tokens(ids, as_ids=arguments.ids))
    print(text.format_report(report), file=sys.stderr)
