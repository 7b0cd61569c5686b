"""What training should cost on 8 to 1024 GPUs: arithmetic, not measurement, with every assumption printed.

    python -m benchmarks.scaling.prediction [--image docs/images/scaling.png] [--network_bytes_per_s 50e9 ...]

The model is benchmarks/scaling/cost.py. A step of one GPU was measured, its gradients are counted on the real network
(`counts.py`); each assumption is a flag, so that figures of another cluster give its table. `python -m
benchmarks.scaling` measures.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.scaling.cost import Cluster, Link, Step, Work, cost_of_step
from benchmarks.scaling.counts import StepCounts, counts_of
from pianogen.config import ModelConfig, TrainConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GPUS = (1, 8, 16, 64, 256, 1024)
LABEL = "arithmetic, not measurement"
_DEFAULTS = TrainConfig()
_MEASURED_POSITIONS = 256  # in a row of the steps that were measured


@dataclass(frozen=True)
class Figure:
    """A number that the prediction rests on."""

    value: float
    source: str


ASSUMED: Mapping[str, Figure] = {
    "step_64_rows_s": Figure(17.49e-3, "measured on one H100: attn_bf16_batch_64 in docs/performance.md"),
    "step_512_rows_s": Figure(27.44e-3, "measured on one H100: attn_bf16_batch_512 in docs/performance.md"),
    "validation_position_s": Figure(7.0e-5, "measured on one H100 that five runs shared: 2.58 s for 37,031 positions"),
    "gpus_per_node": Figure(8, "assumed"),
    "nvlink_bytes_per_s": Figure(300e9, "assumed: two thirds of the vendor's 450e9 for an H100"),
    "nvlink_latency_s": Figure(4e-6, "a hop in NCCL's tuning table (Simple protocol)"),
    "network_bytes_per_s": Figure(20e9, "assumed: four fifths of one 200 Gbit/s adapter per node"),
    "network_latency_s": Figure(14e-6, "a hop in NCCL's tuning table (Simple protocol)"),
    "global_batch": Figure(_DEFAULTS.global_batch, "default of pianogen train"),
    "excerpt_tokens": Figure(_DEFAULTS.data.excerpt_tokens, "default of pianogen train"),
    "validation_every_steps": Figure(_DEFAULTS.validation.every_steps, "default of pianogen train"),
    "validation_positions": Figure(37_031 + 512, "MAESTRO's longest validation performance in the slice, and a sample"),
    "epoch_tokens": Figure(16_650_680, "MAESTRO v3, train split: printed by pianogen shards"),
}


@dataclass(frozen=True)
class Prediction:
    """A way of using some GPUs."""

    gpus: int
    rows: int
    """Excerpts on each GPU."""
    step: Step
    tokens_per_s: float
    speed_up: float
    """Over one GPU that reads the same global batch alone."""
    efficiency: float
    """Strong scaling: the speed-up as a share of the GPUs. Weak: of what as many would do that lost nothing."""
    steps_per_epoch: float
    epoch_s: float


@dataclass(frozen=True)
class Outlook:
    """The assumptions, the counts, and what follows from them."""

    given: Mapping[str, float]
    counts: StepCounts

    @property
    def cluster(self) -> Cluster:
        """The cluster that is assumed."""
        inside = Link(self.given["nvlink_bytes_per_s"], self.given["nvlink_latency_s"])
        between = Link(self.given["network_bytes_per_s"], self.given["network_latency_s"])
        return Cluster(int(self.given["gpus_per_node"]), inside, between)

    @property
    def work(self) -> Work:
        """A step on one of its GPUs."""
        given, counts = self.given, self.counts
        scale = given["excerpt_tokens"] / _MEASURED_POSITIONS  # nearly all of a step is per position
        row_s = (given["step_512_rows_s"] - given["step_64_rows_s"]) / (512 - 64)
        return Work(
            rank_s=scale * (given["step_64_rows_s"] - 64 * row_s),
            row_s=scale * row_s,
            gradient_bytes=counts.gradient_bytes,
            early_share=counts.early_share,
            validation_s=given["validation_positions"] * given["validation_position_s"],
            validation_every_steps=int(given["validation_every_steps"]),
        )

    def strong(self) -> list[Prediction]:
        """The default global batch shared out, over as many GPUs as can share it."""
        batch = int(self.given["global_batch"])
        return [self._on(gpus, batch // gpus, strong=True) for gpus in GPUS if batch % gpus == 0]

    def weak(self) -> list[Prediction]:
        """The default global batch on every GPU."""
        return [self._on(gpus, int(self.given["global_batch"]), strong=False) for gpus in GPUS]

    def _on(self, gpus: int, rows: int, *, strong: bool) -> Prediction:
        step = cost_of_step(self.work, self.cluster, gpus, rows)
        one_reads_all = cost_of_step(self.work, self.cluster, 1, rows * gpus)
        one_reads_as_many = cost_of_step(self.work, self.cluster, 1, rows)
        speed_up = one_reads_all.total_s / step.total_s
        tokens = gpus * rows * self.given["excerpt_tokens"]
        return Prediction(
            gpus=gpus,
            rows=rows,
            step=step,
            tokens_per_s=tokens / step.total_s,
            speed_up=speed_up,
            efficiency=speed_up / gpus if strong else one_reads_as_many.total_s / step.total_s,
            steps_per_epoch=self.given["epoch_tokens"] / tokens,
            epoch_s=self.given["epoch_tokens"] / tokens * step.total_s,
        )


def assumptions(given: Mapping[str, float], counts: StepCounts) -> str:
    """What the prediction rests on, as Markdown."""
    lines = ["| figure | value | source |", "| --- | ---: | --- |"]
    for name, figure in ASSUMED.items():
        source = figure.source if given[name] == figure.value else "given on the command line"
        lines.append(f"| {name} | {given[name]:,.9g} | {source} |")
    lines += [f"| {name} | {value:,.9g} | counted on the model |" for name, value in vars(counts).items()]
    return "\n".join(lines)


def table(predictions: Iterable[Prediction]) -> str:
    """Predictions as Markdown."""
    heads = (
        "GPUs (arithmetic)",
        "global batch",
        "rows per GPU",
        "step, ms",
        "exchange, ms",
        "exposed share",
        "tokens/s",
    )
    heads += ("over one GPU, same batch", "efficiency", "steps per epoch", "epoch, s")
    lines = [f"| {' | '.join(heads)} |", f"|{' ---: |' * len(heads)}"]
    return "\n".join(lines + [_row(prediction) for prediction in predictions])


def _row(of: Prediction) -> str:
    cells = (f"{of.gpus}", f"{of.gpus * of.rows:,}", f"{of.rows}", f"{1e3 * of.step.total_s:.1f}")
    cells += (f"{1e3 * of.step.exchange_s:.2f}", f"{of.step.exposed_share:.1%}", f"{of.tokens_per_s:,.0f}")
    cells += (f"x{of.speed_up:.2f}", f"{of.efficiency:.0%}", f"{of.steps_per_epoch:,.0f}", f"{of.epoch_s:,.2f}")
    return f"| {' | '.join(cells)} |"


def parts_of_step(outlook: Outlook) -> str:
    """Say where a step of one GPU goes."""
    step, batch = outlook.strong()[0].step, int(outlook.given["global_batch"])
    times = (outlook.work.rank_s, batch * outlook.work.row_s, step.validation_s)
    names = ("what does not depend on the rows", f"{batch} rows", "the share of validation")
    return ", ".join(f"{name} {1e3 * seconds:.1f} ms" for name, seconds in zip(names, times, strict=True))


def draw(outlook: Outlook, path: Path) -> None:
    """Draw tokens/s over GPUs, strong scaling beside weak."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(9, 4.2), dpi=130, layout="constrained")
    FigureCanvasAgg(canvas)
    left, right = canvas.subplots(1, 2, sharey=True)
    batch = int(outlook.given["global_batch"])
    _panel(left, f"strong: global batch {batch}", outlook.strong())
    _panel(right, f"weak: {batch} rows on each GPU", outlook.weak())
    left.set_ylabel("tokens/s")
    left.axvspan(batch, GPUS[-1] * 1.8, color="#eeeeee")
    left.text(batch * 1.15, left.get_ylim()[1] / 3, f"no rows\nfor more\nthan {batch}", fontsize=8, va="top")
    for prediction in outlook.weak():
        place = (prediction.gpus, prediction.tokens_per_s)
        right.annotate(f"{prediction.steps_per_epoch:,.0f}", place, (5, -11), textcoords="offset points", fontsize=8)
    right.set_xlabel("GPUs (numbers: steps in an epoch of MAESTRO)")
    right.legend(loc="upper left", fontsize=8, frameon=False)
    canvas.suptitle(f"Prediction: {LABEL}", fontsize=12, color="#d94801")
    canvas.savefig(path, metadata={"Software": None})


def _panel(axes: "Axes", title: str, predictions: Sequence[Prediction]) -> None:
    speeds = [prediction.tokens_per_s for prediction in predictions]
    axes.loglog([prediction.gpus for prediction in predictions], speeds, "o-", color="#08519c", label="predicted")
    axes.loglog(GPUS, [speeds[0] * gpus for gpus in GPUS], ":", color="#08519c", linewidth=1, label="in proportion")
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xticks(GPUS, [str(gpus) for gpus in GPUS])
    axes.minorticks_off()
    axes.set_xlim(0.7, GPUS[-1] * 1.8)
    axes.set_xlabel("GPUs")
    axes.margins(y=0.1)
    axes.grid(color="#e5e5e5")
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Print assumptions and predictions, and draw them where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--kind",
        choices=("rnn", "lstm", "attn"),
        default="attn",
        help="the model whose gradients are counted; the steps are those of attn unless they are given",
    )
    parser.add_argument("--image", type=Path)
    for name, figure in ASSUMED.items():
        parser.add_argument(f"--{name}", type=float, default=figure.value, help=f"{figure.value:g}: {figure.source}")
    args = parser.parse_args()
    given = {name: getattr(args, name) for name in ASSUMED}
    for name, value in given.items():
        if not 0 < value < inf:
            parser.error(f"--{name} is {value:g}, but it must be above 0 and finite")
    outlook = Outlook(given, counts_of(ModelConfig(kind=args.kind)))
    print(f"Assumptions for {args.kind} at {ModelConfig().hidden_size} units:\n\n{assumptions(given, outlook.counts)}")
    print(f"\nPredicted ({LABEL}); one GPU: {parts_of_step(outlook)}.")
    print(f"\nStrong scaling ({LABEL}):\n\n{table(outlook.strong())}")
    print(f"\nWeak scaling ({LABEL}):\n\n{table(outlook.weak())}")
    if args.image:
        draw(outlook, args.image)


if __name__ == "__main__":
    main()
