"""Plans of runs that take a fraction of a second."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from pianogen.config import ReproduceConfig
from pianogen.reproduce import reproduce

STEPS = 12
NAMES = ("rnn-0", "attn-0", "attn-1")


def plan_of(music: Path, steps: int = STEPS) -> dict[str, Any]:
    """Three runs on one set of shards, and tables of every kind."""
    settings = {
        "global_batch": 4,
        "precision": "fp32",
        "model.hidden_size": 8,
        "data": {"excerpt_tokens": 16},
        "optim": {"warmup_tokens": 100, "lr": 0.01},
        "budget.steps": steps,
        "validation": {"every_steps": 3, "slice_tokens": 200, "num_samples": 0},
        "checkpoint.every_steps": 2,
    }
    runs = {name: {"shards": "tiny", "settings": {"model.kind": name[:-2], "seed": int(name[-1])}} for name in NAMES}
    runs["attn-1"]["paper_code"] = False
    rows = {"RNN": ["rnn-0"], "LSTM + attention": ["attn-0", "attn-1"]}
    single = {label: names[:1] for label, names in rows.items()}
    tables = {
        "scores": {"title": "Two models", "rows": rows, "compared": True, "baselines": True},
        "rules": {"title": "Averages", "rows": single, "columns": "rules"},
        "switches": {"title": "Switches", "rows": {"as it is": ["attn-0"]}, "columns": "switches"},
        "recipes": {"title": "Recipes", "rows": {"base": ["attn-0"], "seed 1": ["attn-1"]}, "columns": "recipes"},
    }
    shards = {"tiny": {"source": str(music), "split": "random"}}
    return {"title": "Tiny", "shards": shards, "settings": settings, "runs": runs, "tables": tables}


class Reproduction:
    """A plan with its folders."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self.folder, self.plan = folder, plan
        self.out, self.results, self.file = folder / "out", folder / "results", folder / "plan.yaml"
        self.write()

    def write(self, change: Callable[[dict[str, Any]], None] = lambda plan: None) -> None:
        """Write the plan's file, changed."""
        change(self.plan)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file.write_text(yaml.safe_dump(self.plan, sort_keys=False))

    def run(self, **settings: Any) -> bool:
        """Carry the plan out in this process."""
        return reproduce(self.out, ReproduceConfig(plan=str(self.file), results=str(self.results), **settings))

    @property
    def words(self) -> list[str]:
        """The same as a command."""
        return ["reproduce", "--plan", str(self.file), "--out", str(self.out), "--results", str(self.results)]

    def result(self, name: str) -> dict[str, Any]:
        """The content of a result file."""
        return json.loads((self.results / f"{name}.json").read_text())

    def repeatable(self, name: str) -> dict[str, Any]:
        """The content of a result file that does not depend on the time it took."""
        return {
            key: value
            for key, value in self.result(name).items()
            if key not in ("hours", "tokens_per_s", "tokens_per_cpu_s")
        }
