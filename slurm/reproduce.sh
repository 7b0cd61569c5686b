#!/usr/bin/env bash
# Train and score the runs of a plan, and write the page of results; arguments go to `pianogen reproduce`.
#   sbatch slurm/reproduce.sh --archive maestro-v3.0.0-midi.zip --list maestro-v1.0.0.csv
#   job=$(sbatch --parsable --array=0-9 slurm/reproduce.sh ...) && sbatch --dependency=afterok:$job slurm/reproduce.sh ...
# Writes to $PIANOGEN_RUNS/reproduce (by default runs/reproduce) and docs/results. In the second form each of ten tasks does
# every tenth run of configs/reproduce.yaml, and one job then writes docs/results.md. Submitted again, it does what has no
# result yet.
#SBATCH --job-name=pianogen-reproduce
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
# two minutes before the limit, and at preemption, training saves and requeues the job; B: would signal only this script
#SBATCH --signal=USR2@120
#SBATCH --requeue
# a requeued job appends to its log
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail
# Slurm runs a copy of this script from its spool folder; the job's record has the path of the original
script=$(scontrol show job "${SLURM_JOB_ID:?submit it: sbatch slurm/reproduce.sh}" | sed -n 's/^ *Command=//p')
exec bash "${script%%/reproduce.sh*}/_run.sh" reproduce "$@"
