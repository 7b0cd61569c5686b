"""Tables of speeds, of what the exchange of gradients costs, and of the cost model beside both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from benchmarks.scaling.cost import Cluster, Link, Step, Work, cost_of_step
from benchmarks.scaling.counts import StepCounts

Way = tuple[int, int]
"""Ranks, and rows on each."""


@dataclass(frozen=True)
class Speed:
    """Medians over the steps of one run."""

    tokens_per_s: float
    step_s: float


@dataclass(frozen=True)
class Exchange:
    """What `exchange.py` prints."""

    step_s: float
    exposed_s: float
    """How much longer a step takes than one after which every rank keeps its own gradient."""
    gradient_s: float
    """An all-reduce alone, as large as the gradient."""
    numbers_s: float
    """An all-reduce alone, of three numbers."""


@dataclass(frozen=True)
class Round:
    """Every way to train once, one after another, and the exchange of every number of ranks."""

    speeds: Mapping[Way, Speed]
    exchanges: Mapping[int, Exchange]

    def work(self, counts: StepCounts) -> Work:
        """The line through the steps of one rank over its rows."""
        alone = {rows: speed.step_s for (ranks, rows), speed in self.speeds.items() if ranks == 1}
        row_s, rank_s = np.polyfit(list(alone), list(alone.values()), 1)
        return Work(float(rank_s), float(row_s), counts.gradient_bytes, counts.early_share)

    def cluster(self, counts: StepCounts) -> Cluster:
        """One node, whose link is that of a ring of the fewest ranks that exchanged anything."""
        ranks, measured = min(self.exchanges.items())
        sent = 2 * (ranks - 1) / ranks * counts.gradient_bytes
        sending_s = max(1e-9, measured.gradient_s - measured.numbers_s)
        link = Link(sent / sending_s, measured.numbers_s / (2 * (ranks - 1)))
        return Cluster(max(self.exchanges), link, link)

    def predicted(self, way: Way, counts: StepCounts, places: int) -> Step:
        """The cost model's step, where `places` ranks run at once and more take turns."""
        work, turns = self.work(counts), max(1.0, way[0] / places)
        crowded = replace(work, rank_s=work.rank_s * turns, row_s=work.row_s * turns)
        return cost_of_step(crowded, self.cluster(counts), *way)


def spread(values: Sequence[float], form: str) -> str:
    """Median and range."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [f"| {' | '.join(heads)} |", f"|{' ---: |' * len(heads)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def speed_table(rounds: Sequence[Round]) -> str:
    """Tokens/s of every way, beside one rank with the same global batch and one with as many rows."""

    def over(way: Way, other: Way) -> str:
        if way == other or other not in rounds[0].speeds:
            return ""
        return spread([of.speeds[way].tokens_per_s / of.speeds[other].tokens_per_s for of in rounds], ".2f")

    rows = []
    for way in rounds[0].speeds:
        ranks, share = way
        cells = [f"{ranks}", f"{ranks * share}", f"{share}"]
        cells += [spread([of.speeds[way].tokens_per_s for of in rounds], ",.0f")]
        rows.append([*cells, over(way, (1, ranks * share)), over(way, (1, share))])
    heads = ("ranks", "global batch", "rows per rank", "tokens/s")
    return table((*heads, "over 1 rank, same global batch", "over 1 rank, same rows"), rows)


def exchange_table(rounds: Sequence[Round], counts: StepCounts, places: int) -> str:
    """The all-reduce alone, and what a step waits for it, beside the model's."""
    global_batch, rows = max(ranks * share for ranks, share in rounds[0].speeds), []
    for ranks in rounds[0].exchanges:
        measured = [of.exchanges[ranks] for of in rounds]
        model = [of.predicted((ranks, global_batch // ranks), counts, places) for of in rounds]
        cells = [f"{ranks}", spread([1e3 * of.numbers_s for of in measured], ".2f")]
        cells += [spread([1e3 * of.gradient_s for of in measured], ".1f")]
        cells += [f"{1e3 * median(of.exchange_s for of in model):.1f}"]
        cells += [spread([100 * of.exposed_s / of.step_s for of in measured], ".1f")]
        rows.append([*cells, f"{100 * median(of.exposed_s / of.total_s for of in model):.1f}"])
    gradient = f"{counts.gradient_bytes / 1e6:.1f} MB"
    heads = ("ranks", "all-reduce of 3 numbers, ms", f"of {gradient}, ms", f"model: {gradient}, ms")
    return table((*heads, "exposed, % of a step", "model: exposed, %"), rows)


def check_table(rounds: Sequence[Round], counts: StepCounts, places: int) -> str:
    """The cost model's steps beside those measured."""
    rows = []
    for way in rounds[0].speeds:
        model = [of.predicted(way, counts, places).total_s for of in rounds]
        measured = [of.speeds[way].step_s for of in rounds]
        ratios = [predicted / step for predicted, step in zip(model, measured, strict=True)]
        cells = [f"{way[0]}", f"{way[1]}", f"{median(model):.3f}", f"{median(measured):.3f}"]
        rows.append([*cells, spread(ratios, ".2f")])
    return table(("ranks", "rows per rank", "model's step, s", "measured step, s", "model over measured"), rows)
