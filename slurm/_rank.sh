#!/usr/bin/env bash
# One task of srun becomes one rank: set torch's variables and run the command.
set -euo pipefail
export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID
# USR2 would kill Python until its signal handler is installed, after some seconds of imports
trap '' USR2
exec "$@"
