"""The embedded default: Bach's chorales, reduced to the keyboard, and the piano pieces among the scores of music21.

They are read from the installed package and never copied: the licences of some forbid commercial use.
"""

import re
from importlib.metadata import version
from pathlib import Path

from pianogen.errors import SourceError
from shards.sources import Collection, SourceFile

BACH = "Johann Sebastian Bach"
PIANO_PIECES = {
    "bach/bwv846.mxl": (BACH, "Prelude in C major, BWV 846"),
    "chopin/mazurka06-2.krn": ("Frédéric Chopin", "Mazurka Op. 6 No. 2"),
    "cpebach/h186.mxl": ("Carl Philipp Emanuel Bach", "Solfeggio, H. 186"),
    "joplin/maple_leaf_rag.mxl": ("Scott Joplin", "Maple Leaf Rag"),
    "mozart/k545/movement1_exposition.mxl": ("Wolfgang Amadeus Mozart", "Sonata K. 545, exposition"),
    "schoenberg/opus19/movement2.mxl": ("Arnold Schoenberg", "Op. 19 No. 2"),
    "schoenberg/opus19/movement6.mxl": ("Arnold Schoenberg", "Op. 19 No. 6"),
    "schumann_clara/polonaise_op1n1.mxl": ("Clara Schumann", "Polonaise Op. 1 No. 1"),
    "schumann_clara/polonaise_op1n2.mxl": ("Clara Schumann", "Polonaise Op. 1 No. 2"),
    "schumann_clara/polonaise_op1n3.mxl": ("Clara Schumann", "Polonaise Op. 1 No. 3"),
    "schumann_clara/polonaise_op1n4.mxl": ("Clara Schumann", "Polonaise Op. 1 No. 4"),
}
_CHORALE = re.compile(r"bach/bwv(?P<number>[\w.-]+)\.mxl")


def collect() -> Collection:
    """Find the works in the installed music21, sorted by name.

    Raises:
        SourceError: The installed music21 has no corpus.
    """
    from music21 import corpus
    from music21.common.pathTools import getCorpusFilePath

    root = getCorpusFilePath()
    paths = {path.relative_to(root).as_posix(): path for path in corpus.getPaths() if path.is_relative_to(root)}
    sources = [source for name, path in sorted(paths.items()) if (source := _source(name, path)) is not None]
    if not sources:
        raise SourceError(
            "the installed music21 has no corpus; install it again with pip install --force-reinstall music21"
        )
    return Collection(
        description={"kind": "corpus", "name": "music21", "version": version("music21")},
        sources=tuple(sources),
        missing=tuple(sorted(PIANO_PIECES.keys() - paths.keys())),
    )


def _source(name: str, path: Path) -> SourceFile | None:
    """A piano piece or a chorale, or None for what is neither."""
    if name in PIANO_PIECES:
        composer, title = PIANO_PIECES[name]
        return SourceFile(name=name, path=str(path), composer=composer, title=title)
    chorale = _CHORALE.fullmatch(name)
    return chorale and SourceFile(name=name, path=str(path), composer=BACH, title=f"Chorale BWV {chorale['number']}")
