#!/usr/bin/env bash
# Train the LSTM; arguments go to `pianogen train`, where later ones win.
#   sbatch --nodes=4 slurm/train_lstm.sh --optim.lr 3e-4
# Reads $PIANOGEN_SHARDS (by default runs/shards), writes the run folder $PIANOGEN_RUNS/lstm (runs/lstm). One rank per GPU
# (--gpus-per-node=4), or per task without GPUs (--ntasks-per-node=4 --cpus-per-task=2). Submitted again, it resumes.
#SBATCH --job-name=pianogen-lstm
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
# two minutes before the limit, and at preemption, the ranks save and requeue the job; B: would signal only this script
#SBATCH --signal=USR2@120
#SBATCH --requeue
# a requeued job appends to its log
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail
# Slurm runs a copy of this script from its spool folder; the job's record has the path of the original
script=$(scontrol show job "${SLURM_JOB_ID:?submit it: sbatch slurm/train_lstm.sh}" | sed -n 's/^ *Command=//p')
exec bash "${script%%/train_lstm.sh*}/_run.sh" train_lstm "$@"
