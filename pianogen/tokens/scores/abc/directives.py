"""Directives (%% lines and I: fields) that affect the notes; all others, such as of layout or timbre, are ignored."""

import re

from pianogen.errors import SourceError

_MIDI = re.compile(r"MIDI\s*=?\s*([A-Za-z]+)\s*([+-]?\d{1,3})?(?!\d)", re.IGNORECASE)
_DRUM_CHANNEL = 10
_OTHER = ("other", "")


def read_directive(text: str) -> tuple[str, str]:
    """The kind of a directive and its value.

    accidentals: not, octave, pitch; line break: its symbols; transpose: semitones; percussion: yes, no; or other.

    Raises:
        SourceError: The directive includes another file, or its value is unknown.
    """
    name, _, value = text.partition(" ")
    midi = _MIDI.match(text)
    if name.lower() == "propagate-accidentals":
        if value.strip().lower() not in ("not", "octave", "pitch"):
            raise SourceError(f"%%propagate-accidentals is {value.strip()!r}, but it must be not, octave or pitch")
        return "accidentals", value.strip().lower()
    if name.lower() == "linebreak":
        return "line break", value
    if name.lower() == "abc-include":
        raise SourceError("included files are not read; replace %%abc-include by the lines of the file")
    return _midi(midi[1].lower(), midi[2]) if midi else _OTHER


def _midi(command: str, value: str | None) -> tuple[str, str]:
    if command == "nobarlines":
        return "accidentals", "not"
    if command == "barlines":
        return "accidentals", "pitch"
    if command == "rtranspose" or (command == "transpose" and value is None):
        raise SourceError(f"%%MIDI {command} is not supported; use %%MIDI transpose with a number of semitones")
    if command == "transpose":
        return "transpose", str(value)
    if command == "channel" and value is not None:
        return "percussion", "yes" if int(value) == _DRUM_CHANNEL else "no"
    return _OTHER
