#!/usr/bin/env bash
# One task of srun becomes one rank: tell torch which, and run the command.
set -euo pipefail
export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID
# until Python has put its handler up, which takes it some seconds of imports, USR2 would kill it
trap '' USR2
exec "$@"
