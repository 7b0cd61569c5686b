"""Everything of submitit that is not its public interface; tests/launch/test_submitit_internals.py checks it."""

import shlex
from pathlib import Path
from typing import Any

RANK_0_LOGS = "*_0_log.out"  # in a job folder: JOB_RANK_log.out
WATCHER = b"submitit.local"  # in the command line of the process that watches the ranks of a local job


def batch_file(python: str, folder: Path, parameters: dict[str, Any]) -> str:
    """The batch file that SlurmExecutor would submit; the executor itself cannot be created without Slurm."""
    from submitit.slurm.slurm import _make_sbatch_string

    return _make_sbatch_string(f"{python} -u -m submitit.core._submit {shlex.quote(str(folder))}", folder, **parameters)
