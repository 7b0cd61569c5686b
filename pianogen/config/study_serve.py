"""Settings of `pianogen study serve`."""

from dataclasses import dataclass, field

from pianogen.config.rules import require


@dataclass(frozen=True)
class StudyServeConfig:
    """Where a study is served, and for whom."""

    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    host: str = "127.0.0.1"
    """Address to listen on; one that others can reach needs `public`."""
    public: list[str] = field(default_factory=list)
    """Names under which others reach the server, such as study.example.org; the page of results gets a password."""
    codes: int = 0
    """Have this many codes of invitation in DIR/codes.txt, of which each rater needs one; 0: everyone may take part."""

    def __post_init__(self) -> None:
        require(0 <= self.codes <= 100_000, "codes", self.codes, "from 0 to 100000")
