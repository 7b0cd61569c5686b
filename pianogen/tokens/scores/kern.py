"""A Humdrum **kern file to a written score.

Every token of a spine must start where the previous token ended, and all spines must be at the same time at a bar
line; other files are refused, since a note or rest is wrong or missing. Pitches are sounding pitches: *ITr and *Tr
describe printing and past transposition, and change no pitch. Invisible notes (yy) sound; signs that only change how
a rhythm is printed (*rscale, *tuplet, *tremolo, !LO:N:vis) are ignored. Repeats and *> expansion lists are not
expanded.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.scores.kern_spines import Spine, next_spines, tokens_of
from pianogen.tokens.scores.kern_tokens import KernNote, parse_token
from pianogen.tokens.scores.written import WrittenNote, WrittenScore

_LINE_END = re.compile("\r\n|\r|\n")  # str.splitlines would also split at separators within lyrics
_TEMPO = re.compile(r"\*MM([0-9]{1,4}(?:\.[0-9]{1,9})?)$")
_METER = re.compile(r"\*M([0-9]{1,3})/([0-9]{1,3})(?:%.*)?$")
_BAR_NUMBER = re.compile("=+([0-9]+[a-z]?)")


def parse_kern(text: str) -> WrittenScore:
    """Read the **kern spines of a Humdrum file.

    Raises:
        SourceError: The text is not Humdrum, holds several pieces, has a malformed token, or is truncated.
        InconsistentScoreError: Rhythms contradict each other; the message names the bar.
    """
    numbered = enumerate(_LINE_END.split(text), 1)
    lines = [(number, line) for number, line in numbered if line.strip() and line[:2] != "!!"]
    if not lines or not lines[0][1].startswith("**"):
        raise SourceError("it is not Humdrum: its first line that is not a comment must begin with **")
    reader = _Reader()
    for number, line in lines:
        try:
            reader.read(line)
        except SourceError as error:
            raise type(error)(f"{reader.bar}, line {number}: {error}") from error
    return reader.finish()


class _Reader:
    def __init__(self) -> None:
        self.score = WrittenScore()
        self.bar = "before the first bar line"
        self._spines: list[Spine] = []
        self._last_end = Fraction(0)  # where the last ended spine ended
        self._num_pieces = 0
        self._has_kern = False
        self._tempo_marks: list[float] = []  # pending until the onset of the next note or rest
        self._open_ties: dict[tuple[int, Fraction], list[tuple[Spine, int]]] = defaultdict(list)

    def read(self, line: str) -> None:
        tokens = tokens_of(line)
        if not self._spines:
            self._begin(tokens)
        if self._num_pieces > 1:  # further pieces are only counted
            self._spines = [] if set(tokens) == {"*-"} else self._spines
            return
        if len(tokens) != len(self._spines):
            raise SourceError(f"the line has {len(tokens)} cells for {len(self._spines)} spines")
        kind = tokens[0][:1]
        if kind and kind in "*!=":
            if any(token[:1] != kind for token in tokens):
                raise SourceError(f"a line that begins with {kind} must have it in every spine")
            if kind == "*":
                self._read_interpretations(tokens)
            elif kind == "=":
                self._read_bar_line(tokens)
        else:
            self._read_notes(tokens)

    def finish(self) -> WrittenScore:
        if self._num_pieces > 1:
            raise SourceError(f"it holds {self._num_pieces} pieces; save each as a separate file")
        if self._spines:
            raise SourceError("it is truncated: its spines do not end with *-")
        if not self._has_kern:
            raise SourceError("it has no **kern spine")
        return self.score

    def _begin(self, tokens: Sequence[str]) -> None:
        if any(token[:2] != "**" for token in tokens):
            raise SourceError("the file continues after all spines have ended")
        self._num_pieces += 1
        self._origins = itertools.count()
        self._spines = [Spine(next(self._origins)) for _ in tokens]

    def _read_interpretations(self, tokens: Sequence[str]) -> None:
        cells = list(zip(self._spines, tokens, strict=True))
        now = min((spine.end for spine in self._spines if spine.sounds), default=self._last_end)
        for spine, token in cells:
            if token.startswith("**"):
                spine.representation, spine.end = token[2:], now
                self._has_kern = self._has_kern or spine.sounds
            else:
                self._read_interpretation(spine, token)
        ended = [spine for spine, token in cells if token == "*-"]
        self._check_ends(ended)
        self._last_end = max([self._last_end, *(spine.end for spine in ended)])
        self._spines = next_spines(self._spines, tokens, self._origins)

    def _read_interpretation(self, spine: Spine, token: str) -> None:
        if token.startswith("*part"):
            spine.part = token
        elif token.startswith("*clef"):
            spine.unpitched = token.startswith("*clefX")
        elif (tempo := _TEMPO.match(token)) and float(tempo[1]) > 0:
            self._tempo_marks.append(float(tempo[1]))
        elif (meter := _METER.match(token)) and self.score.time_signature is None and spine.sounds:
            self.score.time_signature = _time_signature(int(meter[1]), int(meter[2]))

    def _read_bar_line(self, tokens: Sequence[str]) -> None:
        self._check_ends(self._spines)
        number = _BAR_NUMBER.match(tokens[0])
        self.bar = f"bar {number[1]}" if number else f"after {self.bar.removeprefix('after ')}"

    def _check_ends(self, spines: Sequence[Spine]) -> None:
        ends = [spine.end for spine in spines if spine.sounds]
        if ends and any(end != ends[0] for end in ends):
            raise InconsistentScoreError(
                f"one voice ends at quarter {min(ends)} and another at {max(ends)}; they must end together"
            )

    def _read_notes(self, tokens: Sequence[str]) -> None:
        if not all(spine.representation for spine in self._spines):
            raise SourceError("an added spine (*+) has no exclusive interpretation such as **kern")
        cells = list(zip(self._spines, tokens, strict=True))
        parsed = [(spine, parse_token(token)) for spine, token in cells if token != "." and spine.sounds]
        self.score.grace_notes += sum(len(token.notes) for _, token in parsed if token.is_grace)
        timed = [(spine, token) for spine, token in parsed if not token.is_grace]
        if not timed:
            return
        onset = self._onset([spine for spine, _ in timed])
        for spine, token in timed:
            spine.end = onset + token.quarters
            if not spine.unpitched:
                self._add(spine, token.notes, onset)
        if any(spine.sounds and spine.end <= onset for spine, _ in cells):
            raise InconsistentScoreError(
                f"a voice has no note or rest at quarter {onset}, where its previous one ended"
            )

    def _onset(self, spines: Sequence[Spine]) -> Fraction:
        onset = spines[0].end
        for spine in spines:
            if spine.end != onset:
                ends = f"quarters {min(onset, spine.end)} and {max(onset, spine.end)}"
                raise InconsistentScoreError(f"its notes must start together, but the previous ones end at {ends}")
        for tempo in self._tempo_marks:
            self.score.tempo_marks.setdefault(onset, tempo)
        self._tempo_marks.clear()
        return onset

    def _add(self, spine: Spine, notes: Sequence[KernNote], onset: Fraction) -> None:
        written = self.score.notes
        for note in notes:
            end = onset + note.quarters
            index = self._tied_to(spine, note.pitch, onset) if note.tied_from_previous else None
            if index is None:
                index = len(written)
                written.append(WrittenNote(onset, end, note.pitch))
            else:
                written[index] = written[index]._replace(end=end)
            if note.tied_to_next:
                self._open_ties[note.pitch, end].append((spine, index))

    def _tied_to(self, spine: Spine, pitch: int, onset: Fraction) -> int | None:
        """The index of the note tied to this one: of the same branch, else column, else part."""
        candidates = self._open_ties[pitch, onset]
        for same in (_same_branch, _same_column, _same_part):
            for position, (other, index) in enumerate(candidates):
                if same(spine, other):
                    del candidates[position]
                    return index
        return None


def _same_branch(spine: Spine, other: Spine) -> bool:
    return spine is other


def _same_column(spine: Spine, other: Spine) -> bool:
    return spine.origin == other.origin


def _same_part(spine: Spine, other: Spine) -> bool:
    return spine.part == other.part


def _time_signature(beats: int, unit: int) -> tuple[int, int] | None:
    """The time signature; a unit of 0 is a breve."""
    if beats == 0:
        return None
    return (beats, unit) if unit else (2 * beats, 1)
