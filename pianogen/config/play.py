"""Settings of `pianogen play`."""

from dataclasses import dataclass, field
from typing import Literal

from pianogen.config.rules import require


@dataclass(frozen=True)
class PlayConfig:
    """Which models a page offers, where it is served, and how much its visitors may ask for."""

    models: list[str] = field(default_factory=lambda: ["pretrained"])
    """Run folders of trained models, their URLs, or pretrained; the first one is the page's default."""
    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    host: str = "127.0.0.1"
    """Address to listen on; another than the loopback one needs `public`."""
    public: list[str] = field(default_factory=list)
    """Names under which others reach the server, such as play.example.org."""
    batch: int = 16
    """Pieces of each model that are made at the same time."""
    queue: int = 64
    """Pieces that wait for a place; more are refused."""
    max_tokens: int = 4096
    """Maximum length of a piece in tokens, its prompt included."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if there is one."""
    checkpoint: str = "best"
    """best (lowest validation loss), last, or a step number."""
    soundfont: str | None = None
    """An .sf2 or .sf3 file whose piano plays; by default TimGM6mb, which the package pretty_midi carries."""

    def __post_init__(self) -> None:
        require(len(self.models) >= 1, "models", self.models, "at least one run")
        require(self.batch >= 1, "batch", self.batch, "at least 1")
        require(self.queue >= 1, "queue", self.queue, "at least 1")
        require(self.max_tokens >= 5, "max_tokens", self.max_tokens, "at least 5: a note and three special tokens")
