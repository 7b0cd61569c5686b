"""Whether the voices of a tune agree on bars and keys."""

from collections.abc import Mapping

from pianogen.errors import InconsistentScoreError
from pianogen.tokens.scores.abc.voice import Voice


def check_agreement(voices: Mapping[str, Voice]) -> None:
    """Compare the voices that hold music, bar by bar; a voice may end before the others.

    Raises:
        InconsistentScoreError: A bar is longer in one voice than in another.
    """
    playing = {name: voice for name, voice in voices.items() if voice.bars}
    if len(playing) < 2:
        return
    longest = max(playing, key=lambda name: len(playing[name].bars))
    for name, voice in playing.items():
        for number, (bar, other) in enumerate(zip(voice.bars, playing[longest].bars, strict=False), start=1):
            if bar != other:
                raise InconsistentScoreError(
                    f"bar {number} lasts {bar.end - bar.start} quarters in voice {name} and "
                    f"{other.end - other.start} in voice {longest}"
                )
