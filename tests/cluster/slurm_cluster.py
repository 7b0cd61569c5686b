"""A real Slurm cluster in a folder: brought up by slurm_cluster.sh, asked through Slurm's own commands."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SCRIPT = Path(__file__).with_name("slurm_cluster.sh")
_COMMAND_S = 150  # for what may train or score a little, on a busy machine
_ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"}


class Cluster:
    """Two nodes, partitions main and urgent, 8 CPUs and 4 GPUs claimed on each node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # its own session: Ctrl-C is for pytest, which then closes the script's input; so does any end of pytest
        self._script = subprocess.Popen(
            [SCRIPT, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def wait_until_ready(self) -> None:
        """Return when jobs can be submitted."""
        assert self._script.stdout is not None
        lines = []
        for line in self._script.stdout:
            lines.append(line)
            if line == "ready\n":
                return
        raise RuntimeError(f"the cluster did not come up: {''.join(lines)}see {self.folder}/log and the lines above")

    def stop(self) -> None:
        """Take everything down."""
        self._script.communicate(timeout=90)

    @property
    def environment(self) -> dict[str, str]:
        """What a user of the cluster has in the shell."""
        ours = {"SLURM_CONF": str(self.folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}
        return {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))} | ours

    def ask(self, *words: str | Path, cwd: Path | None = None, **variables: str) -> str:
        """Run a command as a user of the cluster and return what it says."""
        done = self._run(words, cwd, variables)
        assert done.returncode == 0, f"{words} failed: {done.stderr}"
        return done.stdout

    def allows(self, *words: str) -> bool:
        """Run a command that Slurm may refuse, and say whether it did not."""
        return self._run(words, None, {}).returncode == 0

    def _run(
        self, words: Sequence[str | Path], cwd: Path | None, variables: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        environment = self.environment | variables
        return subprocess.run(words, capture_output=True, text=True, timeout=_COMMAND_S, cwd=cwd, env=environment)

    def sbatch(self, *words: str | Path, cwd: Path, **variables: str) -> str:
        """Submit a job and return its number."""
        return self.ask("sbatch", "--parsable", *words, cwd=cwd, **variables).strip()

    def state(self, job: str) -> str:
        """The state of the job."""
        return self._show(job)["JobState"]

    def restarts(self, job: str) -> int:
        """How often the job was requeued."""
        return int(self._show(job)["Restarts"])

    def _show(self, job: str) -> dict[str, str]:
        return dict(re.findall(r"(\w+)=(\S+)", self.ask("scontrol", "show", "job", job)))

    def wait(self, job: str, seconds: float = 60) -> str:
        """Wait until the job has ended for good and return how."""
        until(lambda: self.state(job) in _ENDED, seconds, lambda: f"job {job} is {self.state(job)}")
        return self.state(job)

    def attempts(self, job: str) -> Sequence[str]:
        """How each attempt of the job ended, from the accounts."""
        return self.ask("sacct", "-n", "-P", "-X", "-D", "-o", "State", "-j", job).split("\n")[:-1]


def until(holds: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: It does not after so many seconds.
    """
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.1)
