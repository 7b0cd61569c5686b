"""Training runs of a few steps on some ranks of this machine, started by torchrun."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.scaling.report import Exchange, Speed, Way

ROOT = Path(__file__).parents[2]
WARM_UP_STEPS = 2
_LAUNCHER = (sys.executable, "-m", "torch.distributed.run", "--standalone")
# validation and checkpoints only at the end
_ONLY_STEPS = ("--validation.every_steps=1000000", "--validation.slice_tokens=3", "--validation.num_samples=0")
_ONLY_STEPS += ("--checkpoint.every_steps=1000000",)
_SHOWN_OF_ERROR = 3000  # characters


@dataclass(frozen=True)
class Bench:
    """Trains in one way after another, each in a run folder of its own."""

    settings: Sequence[str]
    steps: int
    out: Path

    def train(self, way: Way) -> Speed:
        """Train for some steps."""
        ranks, rows = way
        shutil.rmtree(self.folder(way), ignore_errors=True)
        words = ["-m", "pianogen.train", *self.settings, *_ONLY_STEPS, f"--budget.steps={self.steps}"]
        self._start(ranks, [*words, f"--global_batch={ranks * rows}", f"--out={self.folder(way)}"])
        lines = map(json.loads, (self.folder(way) / "metrics.jsonl").read_text().splitlines())
        steps = [line for line in lines if "train/loss" in line]
        counted = steps[WARM_UP_STEPS:]
        seconds = [after["time"] - before["time"] for before, after in pairwise(steps[WARM_UP_STEPS - 1 :])]
        return Speed(median(line["train/tokens_per_s"] for line in counted), median(seconds))

    def exchange(self, way: Way) -> Exchange:
        """Time the exchange of gradients with the settings of this way's run."""
        printed = self._start(way[0], ["-m", "benchmarks.scaling.exchange", str(self.folder(way))])
        return Exchange(**json.loads(printed.splitlines()[-1]))

    def folder(self, way: Way) -> Path:
        """Folder of a way's last run."""
        return self.out / f"{way[0]}-ranks-{way[1]}-rows"

    def _start(self, ranks: int, words: Sequence[str]) -> str:
        variables = {"OMP_NUM_THREADS": "1", **os.environ, "PIANOGEN_TRACK": "off", "PYTHONPATH": str(ROOT)}
        command = [*_LAUNCHER, f"--nproc_per_node={ranks}", *words]
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-_SHOWN_OF_ERROR:]}")
        return done.stdout
