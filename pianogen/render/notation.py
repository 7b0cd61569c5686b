"""Notes as a score in SVG, engraved by verovio from MusicXML: one file, its pages one below the other."""

import re
from xml.sax.saxutils import escape

import numpy as np

from pianogen.tokens import Notes, musicxml_bytes
from pianogen.tokens.pedal import next_strike

_OPTIONS = {
    "adjustPageHeight": True,
    "breaks": "auto",
    "footer": "none",
    "header": "none",
    "outputIndent": 0,
    "pageHeight": 2970,
    **{f"pageMargin{side}": 100 for side in ("Bottom", "Left", "Right", "Top")},
    "pageWidth": 2100,
    "scale": 40,
    "svgViewBox": True,
    "xmlIdSeed": 1,  # else the names in the file are drawn at random
}
_PAGE_SIZE = re.compile(r'<svg viewBox="0 0 (\d+) (\d+)"')


def engraved(
    notes: Notes, *, steps_per_quarter: int = 4, time_signature: tuple[int, int] = (4, 4), title: str = ""
) -> str:
    """The score as SVG, in the key that fits best; the same notes give the same text.

    A gap of less than an eighth after a note is not written as a rest: the note is written longer. Notes are written
    shorter where a staff would need a third voice, and where their line is played legato.

    Raises:
        TokenError: There are too many bars, or the grid has no note values in music notation.
    """
    import verovio

    written = _without_small_gaps(_with_plain_ends(notes, steps_per_quarter), steps_per_quarter / 2)
    score = musicxml_bytes(written, steps_per_quarter=steps_per_quarter, time_signature=time_signature, simplified=True)
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(_OPTIONS)
    loaded = toolkit.loadData(score.decode())
    assert loaded, "verovio cannot read our own MusicXML"
    return _one_below_the_other([toolkit.renderToSVG(page + 1) for page in range(toolkit.getPageCount())], title)


def _with_plain_ends(notes: Notes, beat: int) -> Notes:
    """Move ends that are a quarter of a beat from a beat there, unless a note begins where they are."""
    end = notes.onset + notes.duration
    plain = (end + beat // 2) // beat * beat
    moves = (np.abs(plain - end) <= beat / 4) & (notes.duration >= beat / 2) & ~np.isin(end, notes.onset)
    moved = np.where(moves & (plain > notes.onset), plain, end)
    return Notes(notes.onset, np.minimum(moved, next_strike(notes.onset, notes.pitch)) - notes.onset, notes.pitch)


def _without_small_gaps(notes: Notes, gap_steps: float) -> Notes:
    """Lengthen each note to the next onset of any note, if that is less than `gap_steps` after its end."""
    end = notes.onset + notes.duration
    onsets = np.append(np.unique(notes.onset), np.iinfo(np.int64).max)
    following = onsets[np.searchsorted(onsets, end)]
    return Notes(notes.onset, np.where(following - end < gap_steps, following, end) - notes.onset, notes.pitch)


def _one_below_the_other(pages: list[str], title: str) -> str:
    placed, width, top = [], 0, 0
    for page in pages:
        size = _PAGE_SIZE.search(page)
        assert size, "verovio has written its pages in another way"
        width, height = max(width, int(size[1])), int(size[2])
        start = f'<svg y="{top}" width="{size[1]}" height="{height}" viewBox'
        placed.append(page[page.index("<svg ") :].replace("<svg viewBox", start, 1))
        top += height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}">'
    paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", paper, *placed, "</svg>\n"])
