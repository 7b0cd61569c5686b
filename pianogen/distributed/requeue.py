"""Another life for a job that was asked to stop: Slurm runs it again, and training goes on from its checkpoint.

Slurm ends a job as soon as it is asked for another life, so everything must be saved before.
"""

import os
import re
import signal
import subprocess

from pianogen.progress import console

MAX_REQUEUES = 100  # an endless loop costs more than one sbatch; PIANOGEN_MAX_REQUEUES changes it
UNFINISHED_STATUS = 75  # EX_TEMPFAIL of sysexits.h: nothing failed, but the budget is not spent
LOCAL_REQUEUE_STATUS = 144  # submitit's local executor starts a job again when a rank leaves with it
_SCONTROL_SECONDS = 60


def exit_unfinished() -> None:
    """Ask for another life of a job that is not done; where there will be none, its exit status says so.

    Every rank may call it. Rank 0 alone leaves with that status: another rank's would have srun end rank 0 in the midst
    of asking.

    Raises:
        SystemExit: There will be none, or submitit's local executor is asked for one.
    """
    if not requeue() and _is_main_rank():
        raise SystemExit(UNFINISHED_STATUS)


def requeue() -> bool:
    """Ask whoever runs this job for another life of it; say whether there will be one. Every rank may call it.

    Raises:
        SystemExit: The job runs under submitit's local executor, which is asked by an exit status.
    """
    if _is_main_rank() and os.environ.get("SUBMITIT_EXECUTOR") == "local":
        raise SystemExit(LOCAL_REQUEUE_STATUS)
    return requeue_if_slurm()


def requeue_if_slurm() -> bool:
    """Ask Slurm for another life of this job and say whether there will be one; rank 0 asks, for all.

    There is none for a job that somebody cancelled, that is no batch job, or that had MAX_REQUEUES of them.
    """
    if "SLURM_JOB_ID" not in os.environ or not _is_main_rank():
        return False
    # with the answer comes a SIGTERM to all of this job, scontrol included
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        job = _ask_about_job()
        if _already_requeued(job):
            return True
        reason = _why_not(job)
        if reason is None:
            _scontrol("requeue", _job_id())
            console.print(f"job {_job_id()} is requeued and goes on from its checkpoint", soft_wrap=True)
            return True
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"scontrol failed ({' '.join(str(getattr(error, 'stderr', None) or error).split())})"
    console.print(
        f"job {_job_id()} is not requeued: {reason}; the same sbatch goes on from its checkpoint", soft_wrap=True
    )
    return False


def _is_main_rank() -> bool:
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"


def _job_id() -> str:
    """The job, in an array this task of it: the bare number of an array's last task names all of them."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ["SLURM_JOB_ID"]


def _lives_before() -> int:
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def _ask_about_job() -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", _scontrol("show", "job", _job_id())))


def _already_requeued(job: dict[str, str]) -> bool:
    """Slurm, or the user, was faster: a node failed, or the grace time of a preemption is over."""
    return int(job.get("Restarts", "0")) > _lives_before()


def _why_not(job: dict[str, str]) -> str | None:
    most = int(os.environ.get("PIANOGEN_MAX_REQUEUES", MAX_REQUEUES))
    if job.get("BatchFlag") == "0":
        return "it is not a batch job"
    if job.get("Requeue") == "0":
        return "it was submitted with --no-requeue"
    if job.get("JobState") != "RUNNING" and job.get("Reason") != "TimeLimit":
        return "it was cancelled"
    if _lives_before() >= most:
        return f"it was requeued {_lives_before()} times (PIANOGEN_MAX_REQUEUES={most} allows more or fewer)"
    return None


def _scontrol(*words: str) -> str:
    done = subprocess.run(["scontrol", *words], capture_output=True, text=True, timeout=_SCONTROL_SECONDS, check=True)
    return done.stdout
