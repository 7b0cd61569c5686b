"""Requeueing of a job that was asked to stop: Slurm runs it again, and training resumes from its checkpoint.

Slurm ends a job as soon as its requeue is requested, so everything must be saved before.
"""

import os
import re
import signal
import subprocess

from pianogen.progress import console

MAX_REQUEUES = 100  # an endless loop costs more than one sbatch; PIANOGEN_MAX_REQUEUES changes it
UNFINISHED_STATUS = 75  # EX_TEMPFAIL of sysexits.h: no failure, but the budget is not spent
LOCAL_REQUEUE_STATUS = 144  # submitit's local executor restarts a job when a rank exits with it
_SCONTROL_SECONDS = 60


def exit_unfinished() -> None:
    """Request a requeue of an unfinished job; if that is not possible, exit with UNFINISHED_STATUS.

    Every rank may call it. Only rank 0 exits with that status: on another rank's, srun would end rank 0 during its
    request.

    Raises:
        SystemExit: The job is not requeued, or submitit's local executor requeues it.
    """
    if not requeue() and _is_main_rank():
        raise SystemExit(UNFINISHED_STATUS)


def requeue() -> bool:
    """Request a requeue of this job and return whether it is granted. Every rank may call it.

    Raises:
        SystemExit: The job runs under submitit's local executor, which requeues on an exit status.
    """
    if _is_main_rank() and os.environ.get("SUBMITIT_EXECUTOR") == "local":
        raise SystemExit(LOCAL_REQUEUE_STATUS)
    return requeue_if_slurm()


def requeue_if_slurm() -> bool:
    """Request a requeue from Slurm on rank 0 and return whether it is granted.

    It is not granted if the job was cancelled, is not a batch job, or was requeued MAX_REQUEUES times.
    """
    if "SLURM_JOB_ID" not in os.environ or not _is_main_rank():
        return False
    # Slurm then sends SIGTERM to all processes of the job, scontrol included
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        job = _describe_job()
        if _already_requeued(job):
            return True
        reason = _why_not(job)
        if reason is None:
            _scontrol("requeue", _job_id())
            console.print(f"job {_job_id()} is requeued and resumes from its checkpoint", soft_wrap=True)
            return True
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"scontrol failed ({' '.join(str(getattr(error, 'stderr', None) or error).split())})"
    console.print(f"job {_job_id()} is not requeued: {reason}; run the same sbatch again to resume", soft_wrap=True)
    return False


def _is_main_rank() -> bool:
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"


def _job_id() -> str:
    """The job id, in an array with the task: the job id of an array's last task alone names the whole array."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ["SLURM_JOB_ID"]


def _num_requeues() -> int:
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def _describe_job() -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", _scontrol("show", "job", _job_id())))


def _already_requeued(job: dict[str, str]) -> bool:
    """Slurm or the user already requeued it, after a node failure or at the end of a preemption's grace time."""
    return int(job.get("Restarts", "0")) > _num_requeues()


def _why_not(job: dict[str, str]) -> str | None:
    most = int(os.environ.get("PIANOGEN_MAX_REQUEUES", MAX_REQUEUES))
    if job.get("BatchFlag") == "0":
        return "it is not a batch job"
    if job.get("Requeue") == "0":
        return "it was submitted with --no-requeue"
    if job.get("JobState") != "RUNNING" and job.get("Reason") != "TimeLimit":
        return "it was cancelled"
    if _num_requeues() >= most:
        return f"it was requeued {_num_requeues()} times (PIANOGEN_MAX_REQUEUES={most} allows more or fewer)"
    return None


def _scontrol(*words: str) -> str:
    done = subprocess.run(["scontrol", *words], capture_output=True, text=True, timeout=_SCONTROL_SECONDS, check=True)
    return done.stdout
