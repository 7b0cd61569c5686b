#!/usr/bin/env bash
# Search for the best settings; arguments go to `pianogen sweep`, where later ones win.
#   sbatch --array=0-7 slurm/sweep.sh configs/sweep.yaml --data.fraction 0.1
# Reads $PIANOGEN_SHARDS (by default runs/shards), writes $PIANOGEN_RUNS/sweep (runs/sweep). Every rank of every array task is
# a worker; they divide the trials through one journal file. Submitted again, they resume.
#SBATCH --job-name=pianogen-sweep
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
# two minutes before the limit, and at preemption, the workers save and requeue the job; B: would signal only this script
#SBATCH --signal=USR2@120
#SBATCH --requeue
# a requeued job appends to its log
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail
# Slurm runs a copy of this script from its spool folder; the job's record has the path of the original
script=$(scontrol show job "${SLURM_JOB_ID:?submit it: sbatch slurm/sweep.sh SPACE.yaml}" | sed -n 's/^ *Command=//p')
exec bash "${script%%/sweep.sh*}/_run.sh" sweep "$@"
