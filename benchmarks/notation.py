"""`python -m benchmarks.notation FILES... [--bars 30] [--steps_per_quarter 4]`: voices and collisions in scores.

Reads the SVG that `pianogen render` writes. A folder stands for its MIDI files and scores; `maestro` for 20
performances of the test split (every 8th by name), from the archive that PIANOGEN_MAESTRO_ARCHIVE names. The time is
that of the processor.
"""

import argparse
import os
import re
import tempfile
import time
import xml.etree.ElementTree as ET
import zipfile
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from pianogen.config import ShardsConfig, TokenizerConfig
from pianogen.render.notation import engraved
from pianogen.tokens import Notes, find_sources, quantise, read_performance
from pianogen.tokens.metre import bar_steps, plausible_metre
from shards.maestro import collect

_SPACE = 180  # between two lines of a staff, in the units of verovio's SVG
_HEAD_WIDTHS = {"E0A2": 300, "E0A3": 212, "E0A4": 212}  # whole, half, black; SMuFL's code points
_TOUCHING = 20  # units that may overlap
_PLACE = re.compile(r"translate\((-?\d+), (-?\d+)\)")
_NUMBER = re.compile(r"-?\d+")
_NUM_PERFORMANCES = 20


class _Box(NamedTuple):
    """What a head, dot or rest covers, and the voice it belongs to."""

    left: int
    right: int
    top: int
    bottom: int
    voice: int

    def overlaps(self, other: "_Box") -> bool:
        """Whether two symbols of different voices cover each other; heads at one place are one head."""
        if self.voice == other.voice or (self.left, self.top) == (other.left, other.top):
            return False
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across > _TOUCHING and down > _TOUCHING


def main() -> None:
    """Print one line of figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.notation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", metavar="FILES")
    parser.add_argument("--bars", type=int, help="only the notes that begin in the first bars")
    parser.add_argument("--steps_per_quarter", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [path for source in arguments.sources for path in _files(source, Path(folder))]
        found, seconds = Counter[str](), 0.0
        for path in files:
            counts, taken = _measured(path, arguments.steps_per_quarter, arguments.bars)
            found, seconds = found + counts, seconds + taken
    print(_line(found, len(files), seconds), flush=True)


def _files(source: str, folder: Path) -> Iterator[Path]:
    if source != "maestro":
        yield from sorted(find_sources(Path(source))) if Path(source).is_dir() else [Path(source)]
        return
    archive = os.environ["PIANOGEN_MAESTRO_ARCHIVE"]
    test = sorted(one.member or "" for one in collect(ShardsConfig(archive=archive)).sources if one.split == "test")
    with zipfile.ZipFile(archive) as performances:
        for member in test[:: len(test) // _NUM_PERFORMANCES][:_NUM_PERFORMANCES]:
            yield Path(performances.extract(member, folder))


def _measured(path: Path, steps_per_quarter: int, bars: int | None) -> tuple[Counter[str], float]:
    """Counts in the score of a file, and the seconds that engraving took."""
    raw = read_performance(path)
    notes, _ = quantise(raw, TokenizerConfig(steps_per_quarter=steps_per_quarter))
    metre = plausible_metre(raw.time_signature)
    if bars:
        kept = notes.onset < bars * bar_steps(metre, steps_per_quarter)
        notes = Notes(notes.onset[kept], notes.duration[kept], notes.pitch[kept])
    began = time.process_time()
    svg = engraved(notes, steps_per_quarter=steps_per_quarter, time_signature=metre)
    taken = time.process_time() - began
    return Counter(notes=len(notes)) + counted(svg), taken


def counted(svg: str) -> Counter[str]:
    """Staves of bars with each number of voices, ties, shown rests, and collisions between voices."""
    root, counts = ET.fromstring(svg), Counter[str]()
    for bar in _of_class(root, "measure"):
        counts["bars"] += 1
        for staff in _of_class(bar, "staff"):
            voices = [layer for layer in _of_class(staff, "layer") if any(_of_class(layer, "note"))]
            counts[f"voices {min(len(voices), 4)}"] += 1
            counts += _collisions(voices)
            counts["rests"] += sum(1 for _ in _of_class(staff, "rest"))
    counts["ties"] = sum(1 for _ in _of_class(root, "tie"))
    return counts


def _of_class(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (one for one in element.iter() if one.get("class", "").split(" ")[0] == name)


def _collisions(voices: list[ET.Element]) -> Counter[str]:
    """Pairs of heads, of dots or rests with anything, and of stems with heads, that cover each other."""
    heads = [box for index, voice in enumerate(voices) for box in _glyphs(voice, "notehead", index)]
    rests = [box for index, voice in enumerate(voices) for box in _glyphs(voice, "rest", index)]
    dots = [_Box(x - 36, x + 36, y - 36, y + 36, n) for n, voice in enumerate(voices) for x, y in _dots(voice)]
    stems = [_Box(x - 15, x + 15, top, end, n) for n, voice in enumerate(voices) for x, top, end in _stems(voice)]
    return Counter(
        heads=sum(one.overlaps(other) for one, other in combinations(heads, 2)),
        dots=sum(dot.overlaps(other) for dot in dots for other in heads + rests)
        + sum(one.overlaps(other) for one, other in combinations(dots, 2)),
        covered_rests=sum(rest.overlaps(other) for rest in rests for other in heads)
        + sum(one.overlaps(other) for one, other in combinations(rests, 2)),
        stems=sum(stem.overlaps(head) for stem in stems for head in heads),
    )


def _glyphs(voice: ET.Element, name: str, index: int) -> Iterator[_Box]:
    for element in _of_class(voice, name):
        for use in element:
            if place := _PLACE.match(use.get("transform", "")):
                code = use.get("{http://www.w3.org/1999/xlink}href", "")[1:5]
                x, y, half = int(place[1]), int(place[2]), _SPACE // (2 if name == "notehead" else 1)
                yield _Box(x, x + _HEAD_WIDTHS.get(code, 212), y - half, y + half, index)


def _dots(voice: ET.Element) -> Iterator[tuple[int, int]]:
    for ellipse in (one for dots in _of_class(voice, "dots") for one in dots):
        yield int(ellipse.get("cx", 0)), int(ellipse.get("cy", 0))


def _stems(voice: ET.Element) -> Iterator[tuple[int, int, int]]:
    for path in (one for stem in _of_class(voice, "stem") for one in stem if one.get("d")):
        x, one, _, other = (int(number) for number in _NUMBER.findall(path.get("d", ""))[:4])
        yield x, min(one, other), max(one, other)


def _line(found: Counter[str], num_files: int, seconds: float) -> str:
    staves = " ".join(f"{found[f'voices {number}']}" for number in range(1, 5))
    collisions = ", ".join(f"{found[key]} {key}" for key in ("heads", "dots", "stems", "covered_rests"))
    return (
        f"{num_files} files, {found['notes']} notes, {found['bars']} bars; a staff's bars with 1 to 4 voices: {staves};"
        f" {found['ties'] / found['notes']:.2f} ties a note, {found['rests'] / found['bars']:.2f} rests a bar;"
        f" collisions: {collisions}; {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
