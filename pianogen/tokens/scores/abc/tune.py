"""The lines of a tune to a written score: fields set the state, voices collect notes, and bars are compared."""

import re
from collections.abc import Callable
from fractions import Fraction

from pianogen.errors import SourceError
from pianogen.tokens.scores.abc.agreement import check_agreement
from pianogen.tokens.scores.abc.directives import read_directive
from pianogen.tokens.scores.abc.fields import Metre, default_unit, read_metre, read_tempo, read_unit
from pianogen.tokens.scores.abc.key import Key, Properties, read_key, read_properties
from pianogen.tokens.scores.abc.lexer import lex
from pianogen.tokens.scores.abc.text import DIRECTIVE, TuneLine, tune_lines
from pianogen.tokens.scores.abc.voice import Voice, VoiceNote
from pianogen.tokens.scores.written import Tie, WrittenNote, WrittenScore

_SYMBOL = re.compile(r"([H-Wh-w~])\s*=.*")
_MACRO = re.compile(r"([^=]+?)\s*=.*")
_MAX_VOICES = 128
_MAX_MACROS = 128


def parse_abc(text: str) -> WrittenScore:
    """Read the only tune of an ABC file; repeats and parts are read once each, in written order.

    Raises:
        SourceError: There is not exactly one tune, or its notation is invalid or ambiguous.
        InconsistentScoreError: Voices or overlays contradict each other; the message names the bar.
    """
    tune = _TuneReader()
    for line in tune_lines(text):
        try:
            tune.read(line)
        except SourceError as error:
            raise type(error)(f"line {line.number}: {error}") from error
    return tune.score()


class _TuneReader:
    """The state of reading a tune."""

    def __init__(self) -> None:
        self.in_body = False
        self.metre, self.unit, self.key = Metre(), Fraction(0), Key()  # a unit of 0 is unknown
        self.time_signature: tuple[int, int] | None = None
        self.properties = Properties()
        self.midi_transpose = 0
        self.propagation = "pitch"
        self.exclamation_ends_line = False
        self.symbols: frozenset[str] = frozenset()
        self.macros: list[re.Pattern[str]] = []
        self.header_tempo: str | None = None
        self.tempo_marks: dict[Fraction, float] = {}
        self.body_tempo_onsets: set[Fraction] = set()
        self.declared: dict[str, Properties] = {}  # voices of the header
        self.voices: dict[str, Voice] = {}  # by name; "" before the first V:
        self.voice_properties: dict[str, Properties] = {}
        self.voice_transpose: dict[str, int] = {}  # by %%MIDI transpose
        self.on_drum_channel: set[str] = set()  # voices, by %%MIDI channel
        self.current: str | None = None
        self.behind: set[str] = set()  # voices that have ended before another voice continued
        self.unscoped_field: str | None = None  # a field in the body before the first voice

    def read(self, line: TuneLine) -> None:
        """Read one line."""
        if line.kind:
            self._field(line.kind, line.text)
        else:
            self._music(line.text)

    def score(self) -> WrittenScore:
        """The score, after all lines are read."""
        for name, voice in self.voices.items():
            try:
                voice.finish()
            except SourceError as error:
                raise type(error)(f"in voice {name}: {error}" if name else str(error)) from error
        check_agreement(self.voices)
        if self.unscoped_field and sum(bool(voice.bars) for voice in self.voices.values()) > 1:
            raise SourceError(f"{self.unscoped_field} is between the header and the first V:; move it into its voice")
        notes = [
            WrittenNote(note.onset, note.end, note.pitch, _tie(note), part)
            for part, voice in enumerate(self.voices.values())
            for note in voice.notes
        ]
        graces = sum(voice.grace_notes for voice in self.voices.values())
        return WrittenScore(notes, self.tempo_marks, self.time_signature, graces)

    def _field(self, kind: str, text: str) -> None:
        reader = _FIELD_READERS.get(kind)
        if reader is not None:
            reader(self, text)

    def _music(self, text: str) -> None:
        if any(macro.search(text) for macro in self.macros):
            raise SourceError("macros (m:) are not expanded; replace them by their definition")
        for token in lex(text, self.symbols, self.exclamation_ends_line):
            if token.kind == "field":
                kind = token.match["letter"]
                self._field(DIRECTIVE if kind == "I" else kind, token.match["value"].strip())
            else:
                self._current_voice().read(token)
        self._current_voice().end_line()

    def _scope(self, field: str) -> Voice | None:
        """The voice that a field applies to; None for all later voices."""
        if self.current is not None:
            return self._current_voice()
        if self.in_body:
            self.unscoped_field = field
        return None

    def _current_voice(self) -> Voice:
        """The voice of the current line; before the first V: in the body, the first one declared in the header."""
        if self.current is None:
            self._enter(next(iter(self.declared), ""))
        return self.voices[self.current or ""]

    def _enter(self, name: str) -> None:
        if self.current is not None:
            self._current_voice().end_line()
        if self.current == "" and "" in self.voices and len(self.voices) == 1:
            self.voices[name] = self.voices.pop("")  # music before the first V: belongs to the voice named first
            own = self.voice_properties.get(name, Properties())
            self.voice_properties[name] = own.over(self.voice_properties.pop("", Properties()))
            self.voice_transpose.update({name: self.voice_transpose.pop("")} if "" in self.voice_transpose else {})
        elif name not in self.voices:
            if len(self.voices) == _MAX_VOICES:
                raise SourceError(f"it has more than {_MAX_VOICES} voices")
            self.voices[name] = Voice(self.metre, self.unit, self.key)
            self.voices[name].propagation = self.propagation
        self.current = name
        self._apply_properties(name)
        self._update_behind(name)

    def _update_behind(self, entered: str) -> None:
        now = self.voices[entered].now
        self.voices[entered].resumed_behind |= entered in self.behind
        self.behind |= {name for name, voice in self.voices.items() if 0 < voice.now < now}

    def _apply_properties(self, name: str) -> None:
        own = self.voice_properties.get(name) or self.declared.get(name) or Properties()
        if own.transpose and self.properties.transpose:
            raise SourceError("both K: and V: transpose the voice; use one of them")
        properties = own.over(self.properties)
        midi = self.voice_transpose.get(name, self.midi_transpose)
        if midi and properties.transpose:
            raise SourceError("both transpose= and %%MIDI transpose are set for the voice; use one of them")
        voice = self.voices[name]
        voice.transposition = properties.semitones() + midi
        voice.is_percussion = bool(properties.percussion) or name in self.on_drum_channel

    def _read_metre(self, text: str) -> None:
        metre, voice = read_metre(text), self._scope(f"M:{text}")
        if voice is None:
            self.metre = metre
        else:
            voice.metre = metre
        if self.in_body:
            self._set_time_signature(metre)

    def _set_time_signature(self, metre: Metre) -> None:
        if self.time_signature is None and not metre.is_free:
            self.time_signature = (metre.beats, metre.beat_unit)

    def _read_unit(self, text: str) -> None:
        unit, voice = read_unit(text), self._scope(f"L:{text}")
        if voice is None:
            self.unit = unit
        else:
            voice.unit = unit

    def _read_key(self, text: str) -> None:
        key, properties = read_key(text)
        voice = self._scope(f"K:{text}")
        if voice is None:
            self.key = key or self.key
            self.properties = properties.over(self.properties)
        else:
            if key is not None:
                voice.change_key(key)
            name = self.current or ""
            self.voice_properties[name] = properties.over(self.voice_properties.get(name, Properties()))
            self._apply_properties(name)
        if not self.in_body:
            self._begin_body()

    def _begin_body(self) -> None:
        """End the header, after its K:."""
        self.in_body = True
        self.unit = self.unit or default_unit(self.metre)
        self._set_time_signature(self.metre)
        if self.header_tempo is not None:
            tempo = read_tempo(self.header_tempo, self.unit)
            self.tempo_marks = {} if tempo is None else {Fraction(0): tempo}

    def _read_tempo(self, text: str) -> None:
        if not self.in_body:
            self.header_tempo = text
            return
        now = self.voices[self.current].now if self.current is not None else Fraction(0)
        unit = self.voices[self.current].unit if self.current is not None else self.unit
        tempo = read_tempo(text, unit)
        if tempo is not None and now not in self.body_tempo_onsets:
            self.body_tempo_onsets.add(now)
            self.tempo_marks[now] = tempo  # also overrides the header's

    def _read_voice(self, text: str) -> None:
        name, _, rest = text.partition(" ")
        if not name or name == "*":
            raise SourceError(f"V:{text} does not name a single voice")
        properties, _ = read_properties(rest)
        if not self.in_body:
            self.declared[name] = properties.over(self.declared.get(name, Properties()))
            return
        before = self.voice_properties.get(name, self.declared.get(name, Properties()))
        self.voice_properties[name] = properties.over(before)
        self._enter(name)

    def _read_symbol(self, text: str) -> None:
        symbol = _SYMBOL.fullmatch(text)
        if symbol is None:
            raise SourceError(f"U:{text} does not define a letter from H to W or h to w")
        self.symbols |= {symbol[1]}

    def _read_macro(self, text: str) -> None:
        macro = _MACRO.fullmatch(text)
        if macro is None or len(self.macros) == _MAX_MACROS:
            raise SourceError(f"m:{text} is not a macro" if macro is None else f"it has more than {_MAX_MACROS} macros")
        self.macros.append(re.compile(re.escape(macro[1]).replace("n", "[A-Ga-g]")))

    def _read_directive(self, text: str) -> None:
        kind, value = read_directive(text)
        if kind == "accidentals":
            self.propagation = value
            for voice in self.voices.values():
                voice.propagation = value
        elif kind == "line break":
            self.exclamation_ends_line = "!" in value
        elif kind == "transpose" and self.current is None:
            self.midi_transpose = int(value)
        elif kind == "transpose":
            self.voice_transpose[self.current or ""] = int(value)
            self._apply_properties(self.current or "")
        elif kind == "percussion" and self.current is None:
            self.properties = Properties(percussion=value == "yes").over(self.properties)
        elif kind == "percussion":
            name = self.current or ""
            self.on_drum_channel = self.on_drum_channel | {name} if value == "yes" else self.on_drum_channel - {name}
            self._apply_properties(name)


_FIELD_READERS: dict[str, Callable[[_TuneReader, str], None]] = {
    "M": _TuneReader._read_metre,
    "L": _TuneReader._read_unit,
    "K": _TuneReader._read_key,
    "Q": _TuneReader._read_tempo,
    "V": _TuneReader._read_voice,
    "U": _TuneReader._read_symbol,
    "m": _TuneReader._read_macro,
    DIRECTIVE: _TuneReader._read_directive,
}


def _tie(note: VoiceNote) -> Tie | None:
    if note.tied_to_next:
        return "continue" if note.tied_from_previous else "start"
    return "stop" if note.tied_from_previous else None
