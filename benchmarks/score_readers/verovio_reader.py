"""verovio as the second reader of kern: notes and ties from its MEI output, times from its time map."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from benchmarks.score_readers.comparison import Row, SecondReader, SecondReading
from pianogen.tokens.scores.reader import decode_text

_MEI = "{http://www.music-encoding.org/ns/mei}"
_ID = "{http://www.w3.org/XML/1998/namespace}id"
_DIGIT = re.compile("[0-9]")
_OPTIONS = {"inputFrom": "humdrum", "breaks": "none", "expandNever": True}


def second_reader() -> SecondReader:
    """verovio, which reads kern with humlib.

    Raises:
        ImportError: verovio is not installed.
    """
    import verovio  # pyright: ignore[reportMissingImports]  # not a dependency of pianogen

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(_OPTIONS)
    return SecondReader(f"verovio {toolkit.getVersion()}", (".krn",), lambda path: _read(toolkit, path))


def _read(toolkit: Any, path: Path) -> SecondReading:
    if not toolkit.loadData(_as_written(decode_text(path.read_bytes()))):
        raise ValueError("the file cannot be loaded")
    mei = ET.fromstring(toolkit.getMEI({"removeIds": False}))
    pitches = {note: toolkit.getMIDIValuesForElement(note)["pitch"] for note in _sounding(mei)}
    ties = ((tie.get("startid"), tie.get("endid")) for tie in mei.iter(f"{_MEI}tie"))
    ends = {start[1:]: end[1:] for start, end in ties if start and end}
    return SecondReading(_join(pitches, _times(toolkit), ends))


def _as_written(text: str) -> str:
    """The text without signs that change the times of notes: grace notes, arpeggios and abbreviated tremolos.

    Lines that then have no duration are removed, since humlib halves some notes before them.
    """
    lines = ("\t".join(map(_cell_as_written, line.split("\t"))) for line in text.splitlines())
    return "\n".join(line for line in lines if line[:1] in "*!=" or _DIGIT.search(line)) + "\n"


def _cell_as_written(cell: str) -> str:
    if cell[:1] in ("!", "="):
        return cell
    if cell[:1] == "*":
        return "*" if cell in ("*tremolo", "*Xtremolo") else cell
    return "." if "q" in cell or "Q" in cell else cell.replace(":", "")


def _sounding(mei: ET.Element) -> list[str]:
    """The ids of all notes except grace notes."""
    grace = {
        note.get(_ID)
        for kind in ("note", "chord", "graceGrp")
        for element in mei.iter(_MEI + kind)
        if kind == "graceGrp" or element.get("grace")
        for note in element.iter(f"{_MEI}note")
    }
    ids = (note.get(_ID) for note in mei.iter(f"{_MEI}note"))
    return [note for note in ids if note and note not in grace]


def _times(toolkit: Any) -> dict[str, tuple[float, float]]:
    """Each note's onset and end, in quarters."""
    onsets: dict[str, float] = {}
    times: dict[str, tuple[float, float]] = {}
    for event in toolkit.renderToTimemap({"includeRests": False}):
        times |= {note: (onsets[note], event["qstamp"]) for note in event.get("off", ()) if note in onsets}
        onsets |= dict.fromkeys(event.get("on", ()), event["qstamp"])
    return times


def _join(pitches: dict[str, int], times: dict[str, tuple[float, float]], next_of: dict[str, str]) -> list[Row]:
    rows: list[Row] = []
    continuations = set(next_of.values())
    for note, pitch in pitches.items():
        if note in continuations or note not in times:
            continue
        last = note
        while next_of.get(last) in times:
            last = next_of[last]
        rows.append((times[note][0], times[last][1], pitch))
    return rows
