"""MusicXML, partwise or timewise, to a written score: sounding pitches, onsets computed from durations alone.

Bars are aligned by their index: the n-th bars of all parts start together, and last as long as the longest of them.
Some programs write the rests of a bar twice, or a full-bar rest into a pickup. So rests beyond the time signature, and
a part without notes in an implicit bar, do not lengthen a bar that is shorter in other parts. If notes extend beyond
the time signature in one part and end earlier in another, the score is refused.

Cue notes are silent, as in the standard; notes that are not printed sound. Only <transpose> changes pitches: octave
shifts (8va) and octave clefs do not. Measure repeats are not expanded.

Reference: MusicXML 4.0, https://www.w3.org/2021/06/musicxml40/.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import zip_longest
from xml.etree.ElementTree import Element

from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.scores.musicxml_part import ROUNDING, BarFill, PartReader
from pianogen.tokens.scores.safe_xml import parse_xml
from pianogen.tokens.scores.written import WrittenScore


def parse_musicxml(data: bytes) -> WrittenScore:
    """Read a score-partwise or score-timewise document.

    Raises:
        SourceError: The document is not well-formed, is not a single score, or has an invalid value.
        InconsistentScoreError: The notes of a bar, or the bars of different parts, contradict each other.
    """
    parts = _bars_by_part(parse_xml(data))
    readers = [PartReader(index, name) for index, name in enumerate(parts)]
    start = Fraction(0)
    for bars in zip_longest(*parts.values()):
        _check_alignment(dict(zip(parts, bars, strict=True)))
        pairs = [(reader, bar) for reader, bar in zip(readers, bars, strict=True) if bar is not None]
        start += _bar_length({reader.name: reader.read_bar(bar, start) for reader, bar in pairs}, pairs[0][1])
    return _merged(readers)


def _bars_by_part(root: Element) -> dict[str, list[Element | None]]:
    """The bars of each part, by the part's id."""
    if root.tag == "opus":
        raise SourceError("it holds several pieces (an opus); use the file of one of them")
    if root.tag not in ("score-partwise", "score-timewise"):
        raise SourceError(f"it is not a MusicXML score: its root element is <{root.tag[:40]}>")
    parts: dict[str, list[Element | None]] = {}
    if root.tag == "score-partwise":
        for part in root.iterfind("part"):
            name = _part_id(part)
            if name in parts:
                raise SourceError(f"part {name} occurs twice")
            parts[name] = list(part.iterfind("measure"))
        return parts
    for index, measure in enumerate(root.iterfind("measure")):
        for part in measure.iterfind("part"):
            part.attrib.update(measure.attrib, id=_part_id(part))
            bars = parts.setdefault(part.attrib["id"], [])
            if len(bars) > index:
                raise SourceError(f"part {part.attrib['id']} occurs twice in bar {measure.get('number')}")
            bars += [None] * (index - len(bars))
            bars.append(part)
    return parts


def _part_id(part: Element) -> str:
    return part.get("id", "?")


def _check_alignment(bars: dict[str, Element | None]) -> None:
    numbers: dict[str, str] = {}
    for name, bar in bars.items():
        if bar is None:
            continue
        if bar.get("non-controlling") == "yes":
            raise SourceError(
                f"part {name} has separate bar lines (bar {bar.get('number')} is non-controlling); save it as a "
                "separate file"
            )
        numbers.setdefault(bar.get("number", ""), name)
    if len(numbers) > 1:
        (one, first), (other, second) = list(numbers.items())[:2]
        raise InconsistentScoreError(
            f"bars at the same position are numbered {one} in part {first} and {other} in part {second}"
        )


def _bar_length(fills: dict[str, BarFill], bar: Element) -> Fraction:
    if bar.get("implicit") == "yes" and any(fill.sounding for fill in fills.values()):
        fills = {name: fill for name, fill in fills.items() if fill.sounding}
    lengths = {fill.length for fill in fills.values()}
    if lengths == {0}:  # an empty bar
        return max(fill.time_signature for fill in fills.values())
    if len(lengths) == 1:
        return lengths.pop()
    longest_name, longest = max(fills.items(), key=lambda item: item[1].without_excess)
    if longest.without_excess > longest.time_signature > 0:
        for name, fill in fills.items():
            if fill.sounding and longest.length - fill.length > ROUNDING:
                raise InconsistentScoreError(
                    f"bar {bar.get('number')} lasts {longest.length} quarters in part {longest_name}, more than its "
                    f"time signature allows, and {fill.length} in part {name}"
                )
    return longest.without_excess


def _merged(readers: Sequence[PartReader]) -> WrittenScore:
    """Merge the parts into one score; tempo marks that sound (<sound>) override printed ones (<metronome>)."""
    score = WrittenScore(grace_notes=sum(reader.grace_notes for reader in readers))
    signatures = []
    for reader in readers:
        score.notes += reader.notes
        if reader.time_signature is not None:
            signatures.append(reader.time_signature)
    if signatures:
        _, score.time_signature = min(signatures, key=lambda signature: signature[0])
    for kind in ("sound", "metronome"):
        for reader in readers:
            for onset, quarters_per_minute in reader.tempo_marks[kind]:
                score.tempo_marks.setdefault(onset, quarters_per_minute)
    return score
