"""Settings of `pianogen study`."""

from dataclasses import dataclass
from typing import Literal

from pianogen.config.rules import require


@dataclass(frozen=True)
class StudyNewConfig:
    """What a listening study compares, and how its clips are made."""

    reference: str
    """Shards, or their URL: test has the prompts and their human continuations, train is searched for copies."""
    prompts: int = 8
    """Prompts, and so clips of each condition, each from another performance of the test split."""
    raters: int = 14
    """The number of raters that is planned, and that the power is computed for."""
    title: str = "Listening study"
    """What raters read as its title."""
    seconds: float = 25.0
    """Length of every clip."""
    prompt_seconds: float = 10.0
    """Length of a prompt, at 120 quarters per minute."""
    with_prompt: bool = False
    """Let the clips of prompted conditions begin with the prompt; by default it is not heard."""
    raw: str | None = None
    """A folder, or a zip archive, of the performances' files: a further condition plays them as they were played."""
    seed: int = 0
    """Seed of the prompts, the pieces, the names of clips and the order of sessions."""
    temperature: float = 1.0
    """Sampling temperature of the models' notes and waits."""
    duration_temperature: float | None = None
    """The same for lengths; by default equal to `temperature`."""
    top_p: float | None = None
    """Choose among the likeliest words whose probabilities together reach this value."""
    checkpoint: str = "best"
    """Checkpoint of each run: best (lowest validation loss), last, or a step number."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the models run."""
    allow_copies: bool = False
    """Keep pieces that have more in common with the train split than human performances have."""
    soundfont: str | None = None
    """An .sf2 or .sf3 file whose piano plays; by default TimGM6mb, which the package pretty_midi carries."""
    means: str | None = None
    """A YAML file with the mean rating expected of each condition, NAME: MEAN; by default those of the paper."""
    power_studies: int = 200
    """Simulated studies that the power is computed from."""

    def __post_init__(self) -> None:
        require(2 <= self.prompts <= 40, "prompts", self.prompts, "from 2 to 40")
        require(1 <= self.raters <= 1000, "raters", self.raters, "from 1 to 1000")
        require(20 <= self.seconds <= 30, "seconds", self.seconds, "from 20 to 30")
        require(1 <= self.prompt_seconds <= 60, "prompt_seconds", self.prompt_seconds, "from 1 to 60")
        half = not self.with_prompt or self.prompt_seconds <= self.seconds / 2
        require(half, "prompt_seconds", self.prompt_seconds, "at most half of 'seconds' for clips with the prompt")
        require(20 <= self.power_studies <= 10_000, "power_studies", self.power_studies, "from 20 to 10000")
        require(self.temperature > 0, "temperature", self.temperature, "above 0")
        other, share = self.duration_temperature, self.top_p
        require(other is None or other > 0, "duration_temperature", other, "above 0")
        require(share is None or 0 < share <= 1, "top_p", share, "above 0 and at most 1")
