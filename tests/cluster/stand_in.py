"""Replaces pianogen where a test is about batch scripts: records its calls in seen/ and acts as STAND_IN says."""

import json
import os
import signal
import sys
import time
from pathlib import Path

HEARD: list[int] = []
ATTEMPTS = Path("seen/attempts.json")
ASKED = 144  # the status by which submitit's local executor is asked
VARIABLES = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "SLURMD_NODENAME", "SLURM_NTASKS", "FROM_SITE"),
)


def note(name: str, value: object) -> None:
    """Write one file, whole or not at all."""
    Path("seen").mkdir(exist_ok=True)
    temporary = Path("seen") / f".{name}"
    temporary.write_text(json.dumps(value))
    temporary.rename(Path("seen") / f"{name}.json")


def requeue_when_asked_to_stop(rank: int) -> int:
    """What the trainer does, without the training."""
    from pianogen.distributed.requeue import requeue

    stopping = (signal.SIGUSR2, signal.SIGTERM)
    for number in stopping:
        signal.signal(number, lambda number, frame: HEARD.append(number))
    note(f"waiting-{rank}", os.getpid())
    while not HEARD:
        time.sleep(0.05)
    for number in stopping:
        signal.signal(number, signal.SIG_DFL)
    note(f"requeued-{rank}", requeue())
    return 0


def act(part: str, rank: int) -> int:
    """Play a part in the test; return the exit status."""
    if part == "lose rank 1":
        time.sleep(0 if rank == 1 else 60)
        return 3
    if part == "rank 0 is last":
        time.sleep(4 if rank == 0 else 0)
    if part == "rank 0 is last and rank 1 fails":
        time.sleep(4 if rank == 0 else 0)
        return 2 * rank
    if part == "import slowly":
        time.sleep(3)
    if part == "wait for USR2":
        signal.signal(signal.SIGUSR2, lambda number, frame: HEARD.append(number))
        note(f"waiting-{rank}", os.getpid())
        while not HEARD:
            time.sleep(0.05)
    if part == "requeue when asked to stop" and "SLURM_RESTART_COUNT" not in os.environ:
        return requeue_when_asked_to_stop(rank)
    if part == "request a requeue":
        attempts = json.loads(ATTEMPTS.read_text()) if ATTEMPTS.exists() else 0
        note("attempts", attempts + 1)
        return ASKED if attempts == 0 else 0
    return 0


if __name__ == "__main__":
    rank, attempt = int(os.environ["RANK"]), os.environ.get("SLURM_RESTART_COUNT", "0")
    task = os.environ.get("SLURM_ARRAY_TASK_ID", "0")
    call = {"arguments": sys.argv[1:], "file": __file__, **{name: os.environ.get(name) for name in VARIABLES}}
    note(f"{attempt}-{task}-{rank}", call)
    status = act(os.environ.get("STAND_IN", ""), rank)
    note(f"left-{attempt}-{task}-{rank}", status)
    sys.exit(status)
