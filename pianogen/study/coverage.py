"""How often the 95 % intervals of ratings hold the truth, over simulated studies.

    python -m pianogen.study.coverage [--studies 2000] [--draws 1000] [--seed 0]

Every study has 14 raters, who hear 2 of the 8 clips of each of 8 conditions, with the paper's means. The truth is the
expectation of a rating, which is rounded and clipped to the scale, not the mean that was given.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from pianogen.progress import Progress
from pianogen.randomness import RandomStream, generator
from pianogen.study.ratings import interval
from pianogen.study.simulation import Size, Spread, expected_rating, simulate

MEANS = (1.0, 2.2, 2.5, 3.5, 2.6, 3.8, 4.9, 0.5)
"""The paper's three models without and with a prompt, real music, and a low anchor."""
SPREADS = (Spread(), Spread(0.6, 0.6, 0.5), Spread(0.3, 0.2, 1.0))
"""The one assumed in planning; stimuli that differ more; raters and stimuli that differ less than single ratings."""


@dataclass(frozen=True)
class Coverage:
    """The intervals that hold the truth."""

    spread: Spread
    studies: int
    by_condition: tuple[float, ...]

    @property
    def pooled(self) -> float:
        """Over all conditions."""
        return float(np.mean(self.by_condition))


def covered(spread: Spread, number: int, *, draws: int, seed: int) -> Bool[np.ndarray, " C"]:
    """Whether each condition's interval holds the truth in one study."""
    random = generator(seed, RandomStream.STUDY_COVERAGE, number)
    low, high = interval(simulate(MEANS, Size(), spread, random), random, draws=draws)
    truth = np.array([expected_rating(mean, spread) for mean in MEANS])
    return (low <= truth) & (truth <= high)


def coverage(
    studies: int, draws: int, seed: int = 0, spreads: Sequence[Spread] = SPREADS, *, shown: bool = True
) -> list[Coverage]:
    """Simulate as many studies of each spread."""
    found = []
    with Progress("simulating", total=studies * len(spreads), unit="studies", shown=shown) as bar:
        for spread in spreads:
            hits = np.zeros(len(MEANS))
            for number in range(studies):
                hits += covered(spread, number, draws=draws, seed=seed)
                bar.advance(1)
            found.append(Coverage(spread, studies, tuple((hits / studies).tolist())))
    return found


def main() -> None:
    """Print a line for each spread, and the pooled coverage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="of each spread")
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap in each study")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = coverage(arguments.studies, arguments.draws, arguments.seed)
    size = Size()
    print(f"{size.raters} raters, {size.clips} of {size.stimuli} clips of each of {len(MEANS)} conditions")
    for one in found:
        spread, low, high = one.spread, min(one.by_condition), max(one.by_condition)
        sds = f"rater {spread.rater}, stimulus {spread.stimulus}, error {spread.error}"
        print(f"sd: {sds}: {one.pooled:.1%} of {one.studies:,} studies (conditions: {low:.1%} to {high:.1%})")
    print(f"pooled: {np.mean([one.pooled for one in found]):.1%}")


if __name__ == "__main__":
    main()
