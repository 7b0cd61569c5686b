"""ABC notation to the notes it writes down: repeats once, no ornaments, no chord symbols, exact lengths."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.scores.abc.fields import (
    Metre,
    default_unit,
    number,
    parse_clef,
    parse_key,
    parse_metre,
    parse_tempo,
    parse_unit,
)
from pianogen.tokens.scores.abc.music import read_music
from pianogen.tokens.scores.abc.tune import Line, read_tune
from pianogen.tokens.scores.abc.voice import Voice
from pianogen.tokens.scores.written import WrittenScore

__all__ = ["parse_abc"]


def parse_abc(text: str) -> WrittenScore:
    """Read the one tune of an ABC file.

    Raises:
        SourceError: There is no tune, there are several, or something in it has no meaning in ABC.
        InconsistentScoreError: The voices of a bar do not last equally long.
    """
    tune, reader = read_tune(text), _Reader()
    for line in tune.header:
        reader.at(line, reader.take_field)
    reader.begin_body()
    for line in tune.body:
        reader.at(line, reader.take_line)
    return reader.finish()


@dataclass
class _Reader:
    """The voices of a tune, and which one the text is in."""

    voices: dict[str, Voice] = field(default_factory=dict)
    template: Voice = field(default_factory=lambda: Voice(part=0))
    """What a voice begins with: the fields of the header."""
    current: Voice | None = None  # None in the header
    in_body: bool = False
    metres: list[Metre | None] = field(default_factory=list)
    unit: Fraction | None = None
    macros: list[str] = field(default_factory=list)
    score: WrittenScore = field(default_factory=WrittenScore)
    tempo: str | None = None

    def at(self, line: Line, take: Callable[[str, str], None]) -> None:
        """Take a line, naming its number in whatever is wrong with it."""
        try:
            take(line.kind, line.text)
        except InconsistentScoreError:
            raise
        except SourceError as error:
            raise SourceError(f"line {line.number}: {error}") from error

    def begin_body(self) -> None:
        """Settle what the header leaves open: the default unit length, and the tempo, which may count unit lengths."""
        metre = self.metres[0] if self.metres else None
        self.score.time_signature = None if metre is None else (metre.numerator, metre.denominator)
        unit = self.unit or default_unit(metre)
        for voice in (self.template, *self.voices.values()):
            voice.unit = unit
            voice.metre = self.metres[-1] if self.metres else None
        self.in_body = True
        if self.tempo is not None:
            self._mark_tempo(self.tempo)

    def take_line(self, kind: str, text: str) -> None:
        """Take a line of the body."""
        if kind:
            self.take_field(kind, text)
            return
        for macro in self.macros:
            if macro in text:
                raise SourceError(f"it uses the macro {macro!r}; write macros out")
        self.current = read_music(text, self._voice(), self._take_inline)

    def _take_inline(self, kind: str, text: str) -> Voice:
        self.take_field("%" if kind == "I" else kind, text)
        return self._voice()

    def take_field(self, kind: str, text: str) -> None:
        """Take a field of the header or of the body; those that change no note do nothing."""
        if kind == "K":
            self._set(key=text)
        elif kind == "V":
            self._take_voice(text)
        elif kind == "M":
            self._take_metre(parse_metre(text))
        elif kind == "L":
            self._take_unit(parse_unit(text))
        elif kind == "Q":
            if self.in_body:
                self._mark_tempo(text)
            else:
                self.tempo = text
        elif kind == "m":
            self.macros.append(text.split("=")[0].strip())
        elif kind == "%":
            self._take_directive(text)

    def _set(self, key: str) -> None:
        parsed = parse_key(key)
        if self.in_body:
            self._voice().set_key(parsed)
            return
        self.template.set_key(parsed)
        for voice in self.voices.values():  # what a voice says of itself wins over the tune's K: field
            voice.set_key(replace(parsed, octave=None, semitones=None, percussion=None))

    def _take_voice(self, text: str) -> None:
        name, _, options = text.partition(" ")
        if not name or "*" in name:
            raise SourceError(f"'V:{text}' names no voice")
        if name not in self.voices:
            self.voices[name] = replace(
                self.template, part=len(self.voices), notes=[], bars=[], _accidentals={}, _held={}, _last=[]
            )
        self.voices[name].set_key(replace(parse_clef(options), alterations=None))
        if self.in_body:
            self.current = self.voices[name]

    def _take_metre(self, metre: Metre | None) -> None:
        if self.in_body:
            self._voice().metre = metre
        else:
            self.metres = [metre]

    def _take_unit(self, unit: Fraction) -> None:
        if self.in_body:
            self._voice().unit = unit
        else:
            self.unit = unit

    def _take_directive(self, text: str) -> None:
        words = text.replace("=", " ").split()
        if len(words) >= 2 and words[0] == "propagate-accidentals" and words[1] in ("not", "octave", "pitch"):
            for voice in (self.template, *self.voices.values()):
                voice.propagation = words[1]
        elif len(words) == 3 and words[:2] in (["MIDI", "transpose"], ["MIDI", "rtranspose"]):
            for voice in [self._voice()] if self.in_body else [self.template, *self.voices.values()]:
                before = voice.played_semitones if words[1] == "rtranspose" else 0
                voice.played_semitones = before + number("%%MIDI transpose", words[2])
        elif words[:3] == ["MIDI", "channel", "10"]:
            (self._voice() if self.in_body else self.template).percussion = True

    def _voice(self) -> Voice:
        """The voice that the text is in; music before any V: field is in the first one."""
        if self.current is None:
            if not self.voices:
                self._take_voice("1")
            self.current = next(iter(self.voices.values()))
        return self.current

    def _mark_tempo(self, text: str) -> None:
        voice = self._voice()
        pace = parse_tempo(text, voice.unit)
        if pace is not None:
            self.score.tempo_marks.setdefault(voice.position, pace)

    def finish(self) -> WrittenScore:
        """Check that the voices agree, and put them together."""
        for voice in self.voices.values():
            voice.end_bar()
        _require_equal_bars(self.voices)
        self.score.notes = [note for voice in self.voices.values() for note in voice.notes]
        self.score.grace_notes = sum(voice.grace_notes for voice in self.voices.values())
        return self.score


def _require_equal_bars(voices: dict[str, Voice]) -> None:
    """Bars with one number last equally long in all voices that have them."""
    longest_name, longest = max(voices.items(), key=lambda item: len(item[1].bars), default=("", None))
    for name, voice in voices.items():
        assert longest is not None
        for bar, (here, there) in enumerate(zip(voice.bars, longest.bars, strict=False), 1):
            if here != there:
                raise InconsistentScoreError(
                    f"bar {bar} lasts {here} quarters in voice {name} and {there} in voice {longest_name}; "
                    "the voices of a bar must last equally long"
                )
