"""Settings of `pianogen judge`."""

from dataclasses import dataclass, field

from pianogen.config.rules import require
from pianogen.config.tokenizer import TokenizerConfig


@dataclass(frozen=True)
class JudgeConfig:
    """What pieces are compared with, and how."""

    reference: str
    """Real music: shards (the test split; the train split shows how far other real music is from it), their URL, or a
    folder of MIDI files and scores."""
    raw: str | None = None
    """A folder of performances to judge as they were played, on a grid of 10 ms, beside what tokens keep of them."""
    windows_s: list[float] = field(default_factory=lambda: [10.0, 60.0])
    """Lengths of the windows, in seconds at 120 quarters per minute; whole pieces are measured in any case, windows
    longer than `first_seconds` are not."""
    first_seconds: float | None = None
    """Compare only the first seconds of each piece and of real music: a piece from nothing is a beginning, and those of
    performances differ from the rest."""
    originality: bool = True
    """Search the pieces for passages of the train split, if the reference is shards."""
    with_prompt: bool = False
    """Judge continuations together with their prompts; by default the notes of a prompt are left out."""
    draws: int = 200
    """Draws of the bootstrap of each distance."""
    seed: int = 0
    """Seed of the random pieces, the bootstrap's draws, and the choice among real pieces."""
    players: int = 2
    """Pieces of each set that can be heard in the report."""
    workers: int | None = None
    """Processes; by default one per core that this process may use."""
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    """How files are quantised if the reference is a folder; shards have their own."""

    def __post_init__(self) -> None:
        for seconds in self.windows_s:
            require(1 <= seconds <= 3600, "windows_s", seconds, "from 1 to 3600")
        different = len(set(self.windows_s)) == len(self.windows_s)
        require(different, "windows_s", self.windows_s, "different lengths")
        first = self.first_seconds
        require(first is None or first >= 1, "first_seconds", first, "at least 1")
        require(self.draws >= 20, "draws", self.draws, "at least 20")
        require(self.players >= 0, "players", self.players, "at least 0")
        require(self.workers is None or self.workers >= 1, "workers", self.workers, "at least 1")
