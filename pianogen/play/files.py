"""The files of a finished piece: those that `pianogen generate` writes."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from pianogen.errors import SourceError
from pianogen.play.piece import Piece
from pianogen.render.sound import encode_sound, piano_sound, played_piece
from pianogen.tokens import decode, midi_bytes, musicxml_bytes

Suffix = Literal["mid", "musicxml", "wav"]
_MAX_SOUND_MINUTES = 10  # 100 MB while it is made


class _Form(NamedTuple):
    media_type: str
    make: Callable[[Piece, str | None], bytes | str]
    is_slow: bool = True


def _midi(piece: Piece, _: str | None) -> bytes:
    prompt = piece.spec.prompt
    spq, tempo, metre = prompt.steps_per_quarter, prompt.quarters_per_minute, prompt.time_signature
    return midi_bytes(decode(piece.tokens), steps_per_quarter=spq, quarters_per_minute=tempo, time_signature=metre)


def _score(piece: Piece, _: str | None) -> bytes:
    prompt = piece.spec.prompt
    spq, metre = prompt.steps_per_quarter, prompt.time_signature
    return musicxml_bytes(decode(piece.tokens), steps_per_quarter=spq, time_signature=metre)


def _sound(piece: Piece, soundfont: str | None) -> bytes:
    notes = played_piece(decode(piece.tokens), piece.spec.prompt.seconds_per_step)
    minutes = float((notes.onset + notes.duration).max()) / 60
    if minutes > _MAX_SOUND_MINUTES:
        raise SourceError(
            f"the piece lasts {minutes:.0f} minutes, and sound is made of at most {_MAX_SOUND_MINUTES}; take its MIDI"
            " file, and pianogen render makes the sound"
        )
    return encode_sound(piano_sound(notes, soundfont), "wav")


_FORMS: dict[Suffix, _Form] = {
    "mid": _Form("audio/midi", _midi, is_slow=False),
    "musicxml": _Form("application/vnd.recordare.musicxml+xml", _score),
    "wav": _Form("audio/wav", _sound),
}


def is_slow(suffix: Suffix) -> bool:
    """Whether a file takes a core for longer than a visitor notices."""
    return _FORMS[suffix].is_slow


def file_of(piece: Piece, suffix: Suffix, soundfont: str | None) -> tuple[bytes | str, str]:
    """The content of a file of a finished piece, and its media type.

    Raises:
        TokenError: Notation or MIDI cannot express it.
        SourceError: It is too long for sound.
    """
    form = _FORMS[suffix]
    return form.make(piece, soundfont), form.media_type
