"""Submitting a job to Slurm, or to this machine. submitit only submits: the trainer handles signals and requeues."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from launch.job_folder import absolute_path, make_job_folder, write_record
from launch.rank import become_rank
from launch.settings import SIGNAL_SECONDS, SubmitConfig, Verb, overridden_variables, resources_of, sbatch_parameters
from launch.submitit_internals import batch_file
from pianogen.errors import LaunchError

Command = Sequence[str]
"""A verb and its arguments."""
Submission = tuple[SubmitConfig, list[Command]]
"""The resources of a job, and the commands of its array tasks."""

PROJECT = Path(__file__).parents[1]
# USR2 would kill Python while it imports; -P: the current folder must not be on the import path
_PYTHON = f"""sh -c 'trap "" USR2; exec "$0" -P "$@"' {shlex.quote(sys.executable)}"""


def submit(config: SubmitConfig, verb: Verb, arguments: Sequence[str], target: str) -> str:
    """Submit `pianogen VERB ARGUMENTS`, which works on the folder `target`; return its job number and folder as text.

    Raises:
        LaunchError: Slurm is not installed, or refuses the job.
    """
    folder = make_job_folder(Path(config.jobs), verb)
    start = _on_slurm if config.cluster == "slurm" else _on_this_machine
    try:
        job_id = start(config, verb, arguments, folder)
    except LaunchError:
        shutil.rmtree(folder)
        raise
    write_record(folder, verb=verb, arguments=arguments, cluster=config.cluster, job_id=job_id, target=target)
    words = ["pianogen", "submit", *(["--jobs", config.jobs] if config.jobs != "jobs" else []), "status", target]
    return f"job {job_id} on {config.cluster}, folder {folder}\nstatus: {shlex.join(words)}"


def batch_files(config: SubmitConfig, verb: Verb, arguments: Sequence[str]) -> str:
    """The text that `submit` would pass to sbatch, or start on this machine."""
    if config.cluster != "slurm":
        ranks = resources_of(config, verb).tasks_per_node if config.cluster == "local" else 1
        return f"# {config.cluster}: {ranks} ranks on this machine of\n{shlex.join(['pianogen', verb, *arguments])}"
    texts, after = [], None
    folder = absolute_path(Path(config.jobs)) / f"{verb}-..."
    for one, commands in submissions(config, verb, arguments):
        count = len(commands) if len(commands) > 1 else None
        parameters = {**sbatch_parameters(one, verb, after), "setup": _setup(), "map_count": count}
        text = batch_file(_PYTHON, folder, parameters)
        what = "".join(f"# {shlex.join(['pianogen', *command])}\n" for command in commands)
        texts.append(f"{text}\n# each task becomes one rank of\n{what}")
        after = "THE-JOB-ABOVE"
    return "\n".join(texts)


def submissions(config: SubmitConfig, verb: Verb, arguments: Sequence[str]) -> list[Submission]:
    """The jobs to submit, each to start after the previous has succeeded."""
    whole: list[Command] = [[verb, *arguments]]
    one_process = replace(config, nodes=1, tasks_per_node=1, gpus_per_node=config.gpus_per_node and 1)
    if config.array == 1:
        resources = resources_of(config, verb)
        divides = verb == "generate" and resources.nodes * resources.tasks_per_node > 1
        return [(config, whole), (one_process, whole)] if divides else [(config, whole)]
    if verb == "sweep":  # its workers divide the trials among themselves
        return [(config, [[verb, *arguments] for _ in range(config.array)])]
    divided: list[Command] = [[verb, "--part", f"{task}/{config.array}", *arguments] for task in range(config.array)]
    # the last job writes the shards, or the page of all pieces or results
    return [(config, divided), (one_process, whole)]


def _on_slurm(config: SubmitConfig, verb: Verb, arguments: Sequence[str], folder: Path) -> str:
    job_id = None
    with _without(overridden_variables(config)):
        for one, commands in submissions(config, verb, arguments):
            job_id = _sbatch(folder, sbatch_parameters(one, verb, after=job_id), commands)
    assert job_id is not None
    return job_id


def _sbatch(folder: Path, parameters: dict[str, Any], commands: Sequence[Command]) -> str:
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    if SlurmExecutor.affinity() < 0:
        raise LaunchError("Slurm not found: srun is not on the PATH; --cluster local runs the job on this machine")
    executor = SlurmExecutor(folder, python=_PYTHON)
    executor.update_parameters(**parameters, setup=_setup())
    try:
        jobs = executor.map_array(become_rank, commands)
    except (FailedJobError, FailedSubmissionError) as error:
        raise LaunchError(f"Slurm refused the job: {' '.join(str(error).split())}") from error
    return jobs[0].job_id.partition("_")[0]


def _setup() -> list[str]:
    """Shell lines before srun, which source site.sh as slurm/*.sh do, if this is a checkout."""
    site = PROJECT / "slurm/site.sh"
    return [f"project={shlex.quote(str(PROJECT))}", f". {shlex.quote(str(site))}"] if site.exists() else []


def _on_this_machine(config: SubmitConfig, verb: Verb, arguments: Sequence[str], folder: Path) -> str:
    from submitit import LocalExecutor

    resources = resources_of(config, verb)
    executor = LocalExecutor(folder, python=_PYTHON)
    executor.update_parameters(
        tasks_per_node=resources.tasks_per_node,
        gpus_per_node=resources.gpus_per_node,
        timeout_min=resources.time_min,
        signal_delay_s=SIGNAL_SECONDS,
        stderr_to_stdout=True,
    )
    with _output_to(folder / "watcher.log"):
        return executor.submit(become_rank, [verb, *arguments]).job_id


@contextmanager
def _without(names: set[str]) -> Iterator[None]:
    """Run without these environment variables."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Redirect the output of child processes to a log: whoever reads our output would wait for their end."""
    sys.stdout.flush()
    sys.stderr.flush()
    ours = [os.dup(descriptor) for descriptor in (0, 1, 2)]
    theirs = [os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)]
    try:
        for descriptor, file in enumerate((theirs[0], theirs[1], theirs[1])):
            os.dup2(file, descriptor)
        yield
    finally:
        for descriptor, file in enumerate(ours):
            os.dup2(file, descriptor)
        for file in (*ours, *theirs):
            os.close(file)
