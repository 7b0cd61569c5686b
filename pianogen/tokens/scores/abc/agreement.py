"""Consistency of the bars and keys of a tune's voices."""

from collections.abc import Mapping

from pianogen.errors import InconsistentScoreError
from pianogen.tokens.scores.abc.voice import Voice


def check_agreement(voices: Mapping[str, Voice]) -> None:
    """Compare the voices that contain music, bar by bar.

    A voice may end before the others, as in abc2midi, unless it skipped lines that others have: then the position of
    its later lines is ambiguous.

    Raises:
        InconsistentScoreError: A bar is longer in one voice than in another, a voice skipped lines, or the key changes
            in only some voices.
    """
    playing = {name: voice for name, voice in voices.items() if voice.bars}
    if len(playing) < 2:
        return
    longest = max(playing, key=lambda name: len(playing[name].bars))
    for name, voice in playing.items():
        _check_bars(name, voice, longest, playing[longest])
        if voice.resumed_behind and voice.now < playing[longest].now:
            raise InconsistentScoreError(
                f"voice {name} has {len(voice.bars)} bars and voice {longest} {len(playing[longest].bars)}, and lines "
                f"of voice {name} are missing before its last one"
            )
        _check_keys(name, voice, longest, playing[longest])


def _check_bars(name: str, voice: Voice, other_name: str, other: Voice) -> None:
    for number, (bar, other_bar) in enumerate(zip(voice.bars, other.bars, strict=False), start=1):
        if bar != other_bar:
            raise InconsistentScoreError(
                f"bar {number} lasts {bar.end - bar.start} quarters in voice {name} and "
                f"{other_bar.end - other_bar.start} in voice {other_name}"
            )


def _check_keys(name: str, voice: Voice, other_name: str, other: Voice) -> None:
    """Compare key changes, since a K: between the lines of several voices may apply to one of them or to all."""
    end = min(voice.now, other.now)
    changes = {onset for onset, _ in voice.key_changes if onset < end}
    for onset in changes ^ {onset for onset, _ in other.key_changes if onset < end}:
        number = sum(bar.end <= onset for bar in voice.bars) + 1
        changed, unchanged = (name, other_name) if onset in changes else (other_name, name)
        raise InconsistentScoreError(f"in bar {number} the key changes in voice {changed} but not in voice {unchanged}")
