"""Settings of `pianogen study simulate`."""

from dataclasses import dataclass

from pianogen.config.rules import require


@dataclass(frozen=True)
class StudySimulateConfig:
    """Who the simulated raters are; standard deviations are on the scale from 0 to 5."""

    raters: int = 14
    """The number of raters."""
    means: str | None = None
    """A YAML file with the mean rating of each condition, NAME: MEAN; by default those of the paper."""
    out: str | None = None
    """The copy of the study that the raters answer; by default DIR-simulated."""
    rater_sd: float = 0.6
    """How much raters differ in strictness."""
    stimulus_sd: float = 0.4
    """How much the pieces of one condition differ."""
    error_sd: float = 0.8
    """Standard deviation of the remaining random error of a rating."""
    seed: int = 0
    """Seed of the ratings."""

    def __post_init__(self) -> None:
        require(1 <= self.raters <= 1000, "raters", self.raters, "from 1 to 1000")
        for name in ("rater_sd", "stimulus_sd", "error_sd"):
            require(0 <= getattr(self, name) <= 5, name, getattr(self, name), "from 0 to 5")
