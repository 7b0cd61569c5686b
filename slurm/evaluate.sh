#!/usr/bin/env bash
# Score runs beside the baselines; arguments go to `pianogen evaluate`.
#   sbatch slurm/evaluate.sh runs/rnn runs/lstm runs/attn
# Ranks share the performances: --nodes, --gpus-per-node and --ntasks-per-node make it faster and change nothing else.
#SBATCH --job-name=pianogen-evaluate
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
# a requeued job appends to its log
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail
# Slurm runs a copy of this script from its spool folder; the job's record has the path of the original
script=$(scontrol show job "${SLURM_JOB_ID:?submit it: sbatch slurm/evaluate.sh RUN}" | sed -n 's/^ *Command=//p')
exec bash "${script%%/evaluate.sh*}/_run.sh" evaluate "$@"
