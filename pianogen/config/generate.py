"""Settings of `pianogen generate`."""

from dataclasses import dataclass
from typing import Literal

from pianogen.config.rules import part_of, require
from pianogen.errors import SettingError

_LONGEST = 1_000_000_000  # of any unit; in tokens it fits 64 bits at any tempo


@dataclass(frozen=True)
class GenerateConfig:
    """How pieces are sampled from a trained model."""

    num: int = 8
    """Pieces per run, prompt and seed."""
    seed: int = 0
    """The random draws of piece i depend on (seed, i, position) only, not on the batch."""
    num_seeds: int = 1
    """Number of seeds: `seed` and those that follow it."""
    batch: int = 64
    """Pieces sampled at the same time."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if there is one. It rounds differently from a CPU, so that a piece may differ between the two."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the matrix products; bf16 draws other pieces, so that they need a folder of their own."""
    ops: Literal["auto", "reference"] = "auto"
    """auto: compiled operations on CPUs, if there is a C compiler; reference: plain torch, which rounds differently."""
    prompt: str | None = None
    """A MIDI file or score to continue, or a folder of them; without a prompt a piece starts from nothing."""
    prompt_seconds: float | None = None
    """How much of the prompt to use, in seconds of its own tempo; by default all of it."""
    prompt_bars: float | None = None
    """How much of the prompt to use, in bars."""
    tokens: int | None = None
    """Maximum length in tokens, the prompt included; 1024 when no length is given."""
    bars: float | None = None
    """Maximum length in bars after the prompt; a bar is 16 steps unless the prompt has a time signature."""
    seconds: float | None = None
    """Maximum length in seconds after the prompt."""
    min_tokens: int | None = None
    """Minimum length in tokens, the prompt included."""
    min_bars: float | None = None
    """Minimum length in bars after the prompt."""
    min_seconds: float | None = None
    """Minimum length in seconds after the prompt."""
    temperature: float = 1.0
    """Flattens (above 1) or sharpens (below 1) the choice of notes and waits."""
    duration_temperature: float | None = None
    """The same for lengths; by default equal to `temperature`."""
    top_k: int | None = None
    """Choose among the k likeliest words."""
    top_p: float | None = None
    """Choose among the likeliest words whose probabilities together reach this value."""
    min_p: float | None = None
    """Choose among words at least this likely relative to the likeliest."""
    musicxml: bool = False
    """Also write a score of each piece; without one, and with a warning, where notation cannot express the grid."""
    piano_roll: bool = False
    """Also write a picture of each piece, the prompt marked."""
    svg: bool = False
    """Also engrave the score of each piece as a picture."""
    wav: bool = False
    """Also write the sound of each piece as WAV."""
    flac: bool = False
    """The same as FLAC."""
    ogg: bool = False
    """The same as Ogg Vorbis."""
    mp3: bool = False
    """The same as MP3."""
    html_sound: bool = False
    """Let the page of the pieces play a sampled piano: 30 notes in sound.js beside it, 1.1 MB."""
    soundfont: str | None = None
    """An .sf2 or .sf3 file whose piano plays; by default TimGM6mb, which the package pretty_midi carries."""
    checkpoint: str = "best"
    """best (lowest validation loss), last, or a step number."""
    part: str | None = None
    """K/N, K from 0: generate every N-th piece starting at the K-th, as one of the N tasks of an array."""

    def __post_init__(self) -> None:
        part_of(self.part)
        require(self.num >= 1, "num", self.num, "at least 1")
        require(self.num_seeds >= 1, "num_seeds", self.num_seeds, "at least 1")
        require(self.batch >= 1, "batch", self.batch, "at least 1")
        require(self.temperature > 0, "temperature", self.temperature, "above 0")
        temperature = self.duration_temperature
        require(temperature is None or temperature > 0, "duration_temperature", temperature, "above 0")
        require(self.top_k is None or self.top_k >= 1, "top_k", self.top_k, "at least 1")
        for name in ("top_p", "min_p"):
            share = getattr(self, name)
            require(share is None or 0 < share <= 1, name, share, "above 0 and at most 1")
        if self.prompt == "":  # as of a shell variable that is not set; it must not mean the present folder
            raise SettingError("setting 'prompt' is empty; name a file or folder, or leave it out")
        for name in ("tokens", "bars", "seconds", "prompt_seconds", "prompt_bars"):
            length = getattr(self, name)
            require(length is None or length > 0, name, length, "above 0")
        for name in ("tokens", "bars", "seconds", "min_tokens", "min_bars", "min_seconds"):
            length = getattr(self, name)
            require(length is None or length <= _LONGEST, name, length, f"at most {_LONGEST}")
