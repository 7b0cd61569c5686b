"""Settings of `pianogen render`."""

from dataclasses import dataclass

from pianogen.config.rules import require


@dataclass(frozen=True)
class RenderConfig:
    """What is made of each performance."""

    wav: bool = True
    """Sound as WAV."""
    flac: bool = False
    """Sound as FLAC, half the size of WAV."""
    ogg: bool = False
    """Sound as Ogg Vorbis, a tenth of the size."""
    mp3: bool = False
    """Sound as MP3, a tenth of the size, which every browser plays."""
    soundfont: str | None = None
    """An .sf2 or .sf3 file whose piano plays; by default TimGM6mb, which the package pretty_midi carries."""
    svg: bool = True
    """The score as a picture, engraved by verovio."""
    musicxml: bool = False
    """The score as MusicXML."""
    piano_roll: bool = True
    """A picture of the notes as PNG."""
    steps_per_quarter: int = 4
    """Grid of the score and the picture, 4 or 12 for example; pieces of pianogen have their own."""
    workers: int = 1
    """Processes; the files do not depend on their number."""

    def __post_init__(self) -> None:
        require(1 <= self.steps_per_quarter <= 48, "steps_per_quarter", self.steps_per_quarter, "from 1 to 48")
        require(self.workers >= 1, "workers", self.workers, "at least 1")
