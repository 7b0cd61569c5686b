"""Real training on the cluster: tiny runs of the real pianogen that can be awaited, disturbed and compared."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from logged import logged_lines
from project import ROOT
from safetensors.torch import load_file
from slurm_cluster import Cluster, until

STEPS = 800  # some seconds: a disturbance that is sent at a step arrives before the end
SETTINGS = {
    "seed": 1,
    "global_batch": 4,
    "precision": "fp32",
    "model.kind": "attn",
    "model.hidden_size": 8,
    "data.excerpt_tokens": 16,
    "optim.warmup_tokens": 100,
    "optim.horizon_tokens": 20_000,
    "validation.every_steps": 200,
    "validation.slice_tokens": 200,
    "validation.num_samples": 0,
    "checkpoint.every_steps": 50,
}
ATTEMPT_S = (
    200  # for an attempt to start and reach its first steps: imports, and for ZeRO a compiler, on a busy machine
)


class Trainings:
    """Runs in one folder, with spaces in its path, on the same shards."""

    def __init__(self, folder: Path, cluster: Cluster, shards: Path) -> None:
        self.cluster, self.shards = cluster, shards
        self.folder = folder / "some where"
        self.folder.mkdir()

    def run(self, name: str) -> "TinyRun":
        """A run folder that need not be there yet."""
        return TinyRun(self.folder / "runs" / name)

    def settings(self, name: str, steps: int = STEPS, **changes: object) -> list[str]:
        """The arguments of `pianogen train`."""
        given = {**SETTINGS, "budget.steps": steps, "shards": self.shards, "out": self.run(name).path, **changes}
        return [word for key, value in given.items() for word in (f"--{key}", str(value))]

    def sbatch(self, options: str, script: str, *arguments: str | Path, **variables: str) -> str:
        """Submit a batch script of this checkout, and return the job's number."""
        words = (*options.split(), "--cpus-per-task=1", ROOT / "slurm" / script, *arguments)
        return self.cluster.sbatch(*words, cwd=self.folder, **self.environment(**variables))

    def environment(self, **variables: str) -> dict[str, str]:
        """So that jobs find this Python, also where it is no .venv in the checkout."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"PATH": path, "PIANOGEN_TRACK": "off", **variables}

    def begin(self, name: str, options: str = "--nodes=2", steps: int = STEPS, **changes: str) -> str:
        """Submit a training job; names in capitals are environment variables, the others settings."""
        variables = {key: value for key, value in changes.items() if key.isupper()}
        settings = {key: value for key, value in changes.items() if not key.isupper()}
        return self.sbatch(options, "train_attn.sh", *self.settings(name, steps, **settings), **variables)

    def wait_for_step(self, name: str, step: int) -> None:
        """Wait until a run has got as far."""
        run = self.run(name)
        until(lambda: bool(run.steps) and run.steps[-1] >= step, ATTEMPT_S, self.log)

    def wait(self, job: str) -> str:
        """Wait until a job has ended for good, after any requeues, and return how."""
        return self.cluster.wait(job, 2 * ATTEMPT_S)

    def log(self) -> str:
        """The output of all jobs."""
        return "".join(path.read_text() for path in sorted(self.folder.rglob("*[._]log*")))

    def preempt(self) -> None:
        """Let a job of the higher partition take all nodes, and wait for its end."""
        words = ("-p", "urgent", "--nodes=2", "--cpus-per-task=8", "--output=/dev/null", "--wrap", "sleep 1")
        assert self.cluster.wait(self.cluster.sbatch(*words, cwd=self.folder)) == "COMPLETED"


class TinyRun:
    """What a run folder says."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def lines(self) -> list[dict[str, Any]]:
        """metrics.jsonl but for the clock, and for a line that is being written."""
        return logged_lines(self.path)

    @property
    def steps(self) -> list[int]:
        """The steps that were taken, in order: which samples a step sees follows from its number."""
        return [line["step"] for line in self.lines if "train/loss" in line]

    @property
    def losses(self) -> list[float]:
        """The training loss of each step."""
        return [line["train/loss"] for line in self.lines if "train/loss" in line]

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Weights, optimizer and state of the newest checkpoint."""
        newest = sorted((self.path / "checkpoints").glob("step-*"))[-1]
        return {
            f"{file.stem}/{name}": value
            for file in newest.glob("*.safetensors")
            for name, value in load_file(file).items()
        }


def differing(run: TinyRun, undisturbed: TinyRun) -> list[str]:
    """Names of tensors that are not bit-equal, or in one checkpoint only."""
    here, there = run.tensors, undisturbed.tensors
    same = {name for name in here.keys() & there.keys() if torch.equal(here[name], there[name])}
    return sorted((here.keys() | there.keys()) - same)


def process_of_rank(job: str, rank: int) -> int:
    """The process id of a rank: the nodes of the test cluster share the machine's processes."""
    wanted = {f"SLURM_JOB_ID={job}".encode(), f"RANK={rank}".encode()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if wanted <= set(environment) and b"\0pianogen\0train\0" in command:
            return int(process.name)
    raise AssertionError(f"job {job} has no rank {rank}")
